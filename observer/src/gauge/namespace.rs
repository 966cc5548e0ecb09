//! Sockets in the network namespaces of pods and containers, from `/proc/PID/net/tcp` of one process in each: takes
//! the host's PID namespace and no capability. Reading one takes some 10 ms, since the kernel walks the sockets of all
//! namespaces for it; so each pass reads a few and remembers the others: first those whose number of sockets has
//! changed, which the kernel tells at once, then the oldest. With `sock_diag` it would be faster, but entering a
//! namespace takes `CAP_SYS_ADMIN`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::account::Books;
use crate::attribution::file;
use crate::attribution::process::Processes;
use crate::attribution::roster::Account;
use crate::attribution::socket::{Sockets, State, table};

#[derive(Debug, Default)]
pub struct Namespaces {
    own: Option<u64>,
    /// Where the first process is, whose sockets are anybody's.
    host: Option<u64>,
    of_account: HashMap<Account, u64>,
    held: HashMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    process: u32,
    read: Option<Instant>,
    /// How many there were when they were read, as the kernel counts them.
    count: u64,
    sockets: Sockets,
}

/// What is of use: who calls, and who listens.
const STATES: [State; 2] = [State::Established, State::Listen];

/// Time for one pass: 1 % of a core at the default interval of 5 s. 110 pods at rest are all read within two minutes;
/// one that opens or closes connections is read in the next pass.
const BUDGET: Duration = Duration::from_millis(50);

/// Some ten lines, of which one counts.
const MAX_SOCKSTAT: u64 = 4096;

/// One for each pod.
const MAX_NAMESPACES: usize = 1024;

impl Namespaces {
    pub fn new(own: Option<u64>, host: Option<u64>) -> Self {
        Self {
            own,
            host,
            ..Self::default()
        }
    }

    /// Learns where the accounts are, and reads as many namespaces as there is time for.
    pub fn refresh<'a>(&mut self, books: &Books, accounts: impl Iterator<Item = &'a Account>, now: Instant) {
        let mut current = HashMap::new();
        let mut spaces: HashMap<u64, u32> = HashMap::new();
        for account in accounts.take(MAX_NAMESPACES) {
            let Some(process) = books.any_process(account) else {
                continue;
            };
            let Some(space) = books.processes.network_namespace(process) else {
                continue;
            };
            current.insert(account.clone(), space);
            if Some(space) != self.own {
                spaces.entry(space).or_insert(process);
            }
        }
        self.of_account = current;
        self.held.retain(|space, _| spaces.contains_key(space));
        for (space, process) in spaces {
            let fresh = Held {
                process,
                read: None,
                count: 0,
                sockets: Sockets::default(),
            };
            self.held.entry(space).or_insert(fresh).process = process;
        }
        self.read(books, now);
    }

    fn read(&mut self, books: &Books, now: Instant) {
        let begun = Instant::now();
        let mut due: Vec<(bool, u64, &mut Held)> = self
            .held
            .values_mut()
            .map(|held| {
                let count = count(&books.processes, held.process);
                (held.read.is_some() && held.count == count, count, held)
            })
            .collect();
        due.sort_by_key(|(unchanged, _, held)| (*unchanged, held.read));
        for (_, count, held) in due {
            if begun.elapsed() >= BUDGET {
                return;
            }
            if let Ok(sockets) = table::read(&books.processes, held.process, &STATES) {
                held.sockets = sockets;
                held.count = count;
                held.read = Some(now);
            }
        }
    }

    pub fn is_own(&self, account: &Account) -> bool {
        self.of_account
            .get(account)
            .is_some_and(|space| Some(*space) == self.own)
    }

    /// Whether others than the services that we know may have sockets there.
    pub fn is_public(&self, space: u64) -> bool {
        self.host == Some(space)
    }

    /// The sockets of the account's namespace, if that is another than ours and was read already.
    pub fn sockets(&self, account: &Account) -> Option<(u64, &Sockets)> {
        let space = self.of_account.get(account)?;
        let held = self.held.get(space).filter(|held| held.read.is_some())?;
        Some((*space, &held.sockets))
    }
}

/// TCP sockets of the process's namespace in use, which the kernel counts as they come and go.
fn count(processes: &Processes, pid: u32) -> u64 {
    ["net/sockstat", "net/sockstat6"]
        .into_iter()
        .filter_map(|name| in_use(&file::read(&processes.path(pid, name), MAX_SOCKSTAT).ok()?))
        .sum()
}

/// `TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1`, `TCP6: inuse 2`.
fn in_use(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("TCP"))?;
    line.split_ascii_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn sockets_in_use() {
        let check = |text, expected| assert_eq!(in_use(text), expected);
        check(
            "sockets: used 9\nTCP: inuse 5 orphan 0 tw 1 alloc 7 mem 1\nUDP: inuse 3 mem 2\n",
            Some(5),
        );
        check("TCP6: inuse 2\nUDP6: inuse 1\n", Some(2));
        check("TCP: inuse x\n", None);
        check("", None);
    }

    /// Others on this machine come and go too: that there are any is all that can be said.
    #[test]
    fn own_namespace() {
        let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(count(&Processes::new("/proc"), std::process::id()) > 0);
        assert_eq!(count(&Processes::new("/proc"), u32::MAX), 0);
    }
}
