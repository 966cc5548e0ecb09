//! Working set of an account as the kubelet counts it: what the cgroup uses without the file pages that can go at
//! once. Resident memory where no cgroup accounts for it.

use super::account::Books;
use super::cpu::{Lazy, to_f64};
use crate::attribution::roster::Account;

pub fn working_set(books: &Books, account: &Account, census: &mut Lazy) -> Option<f64> {
    if let Some((usage, v1)) = books.memory_file(account, "memory.usage_in_bytes", "memory.current") {
        let (stat, _) = books.memory_file(account, "memory.stat", "memory.stat")?;
        let usage: u64 = usage.trim().parse().ok()?;
        return Some(to_f64(usage.saturating_sub(inactive_file(&stat, v1))));
    }
    let census = census.get(books);
    let members = books.members(account, census);
    let pages: u64 = members
        .iter()
        .filter_map(|pid| Some(census.stat(*pid)?.resident_pages))
        .sum();
    (!members.is_empty()).then(|| to_f64(pages * page_size()))
}

/// v1's own lines are of the cgroup alone, those with `total_` of all below it, like the usage.
fn inactive_file(stat: &str, v1: bool) -> u64 {
    let key = if v1 {
        "total_inactive_file "
    } else {
        "inactive_file "
    };
    stat.lines()
        .find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
        .unwrap_or(0)
}

fn page_size() -> u64 {
    rustix::param::page_size().try_into().unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inactive_file_pages() {
        let stat = "cache 5\ninactive_file 10\nactive_file 20\ntotal_inactive_file 30\n";
        assert_eq!(inactive_file(stat, true), 30);
        assert_eq!(inactive_file(stat, false), 10);
        assert_eq!(inactive_file("", false), 0);
    }
}
