//! What the daemon itself costs: its CPU time and resident memory, read from procfs at each scrape.

use std::fs;

use super::catalogue as families;
use super::exposition::Value;
use super::family::Family;

/// procfs counts CPU time in ticks of 1/100 s on every architecture (`USER_HZ` is part of the ABI).
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

/// What can be read; nothing where procfs is not mounted, and then the families are absent, not 0.
pub fn measure() -> Vec<(&'static Family, Value)> {
    let cpu = fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|stat| cpu_nanoseconds(&stat));
    let memory = fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| resident_bytes(&status));
    let cpu = cpu.map(|value| (&families::CPU_SECONDS, Value::Nanoseconds(value)));
    let memory = memory.map(|value| (&families::RESIDENT_MEMORY, Value::Whole(value)));
    cpu.into_iter().chain(memory).collect()
}

/// Fields 14 and 15, user and system time. The second field is the program's name in parentheses and may hold
/// anything, so counting starts behind the last parenthesis.
fn cpu_nanoseconds(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)?.checked_mul(NANOSECONDS_PER_TICK)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_parentheses_and_spaces() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1";
        assert_eq!(cpu_nanoseconds(stat), Some(3_000_000_000));
    }

    #[test]
    fn not_procfs() {
        assert_eq!(cpu_nanoseconds(""), None);
        assert_eq!(cpu_nanoseconds("1 (a) R 1"), None);
        assert_eq!(resident_bytes("VmSize: 1 kB"), None);
    }

    #[test]
    fn resident_memory() {
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"),
            Some(2 * 1024 * 1024)
        );
    }

    #[test]
    fn of_this_process() {
        assert_eq!(measure().len(), 2);
    }
}
