//! Sockets in the network namespaces of pods and containers, from `/proc/PID/net/tcp` of one process in each: takes
//! the host's PID namespace and no capability. Reading one takes some 10 ms, since the kernel walks the sockets of all
//! namespaces for it; so each pass reads a few and remembers the others: those whose number of sockets has changed,
//! which the kernel tells at once, and in turn with them those that were read longest ago, since as many may have come
//! as gone. With `sock_diag` it would be faster, but entering a
//! namespace takes `CAP_SYS_ADMIN`.

use std::collections::{HashMap, HashSet, VecDeque};
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
    left_out: u64,
}

/// What is known of the sockets of a subject's namespace.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// Those of that namespace, by its number.
    Sockets(u64, &'a Sockets),
    Own,
    /// They were not read: there was no time yet, or there are too many namespaces.
    Unread,
    /// None of its processes can be seen from here.
    Hidden,
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

/// Time for one pass: 1 % of a core at the default interval of 5 s. 110 pods at rest are all read within two minutes.
/// One that opens or closes connections is read in the next pass, where few do; where more do than there is time for,
/// each kind has half of it.
const BUDGET: Duration = Duration::from_millis(50);

/// Read in any case, however long it takes: one of each kind.
const MIN_READS: usize = 2;

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
        let found = accounts.filter_map(|account| {
            let process = books.any_process(account)?;
            Some((account, process, books.processes.network_namespace(process)?))
        });
        self.learn(found);
        self.read(books, now);
    }

    /// Accounts, with one process of each and its namespace.
    fn learn<'a>(&mut self, found: impl Iterator<Item = (&'a Account, u32, u64)>) {
        let mut current = HashMap::new();
        let mut spaces: HashMap<u64, u32> = HashMap::new();
        let mut left_out = HashSet::new();
        for (account, process, space) in found {
            if Some(space) != self.own {
                if spaces.len() >= MAX_NAMESPACES && !spaces.contains_key(&space) {
                    left_out.insert(space);
                } else {
                    spaces.entry(space).or_insert(process);
                }
            }
            current.insert(account.clone(), space);
        }
        self.left_out = left_out.len() as u64;
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
    }

    fn read(&mut self, books: &Books, now: Instant) {
        let begun = Instant::now();
        let due = self.held.values_mut().map(|held| {
            let count = count(&books.processes, held.process);
            let due = Due {
                unchanged: held.read.is_some() && held.count == count,
                read: held.read,
            };
            (due, (count, held))
        });
        for (number, (count, held)) in in_turn(due.collect()).into_iter().enumerate() {
            if number >= MIN_READS && begun.elapsed() >= BUDGET {
                return;
            }
            if let Ok(sockets) = table::read(&books.processes, held.process, &STATES) {
                held.sockets = sockets;
                held.count = count;
                held.read = Some(now);
            }
        }
    }

    /// Namespaces that are not looked into because there are more than [`MAX_NAMESPACES`].
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The age of the oldest list that is held.
    pub fn oldest(&self, now: Instant) -> Duration {
        let read = self.held.values().filter_map(|held| held.read).min();
        read.map_or(Duration::ZERO, |read| now.saturating_duration_since(read))
    }

    /// Whether others than the services that we know may have sockets there.
    pub fn is_public(&self, space: u64) -> bool {
        self.host == Some(space)
    }

    pub fn view(&self, account: &Account) -> View<'_> {
        match self.of_account.get(account) {
            None => View::Hidden,
            Some(space) if Some(*space) == self.own => View::Own,
            Some(space) => match self.held.get(space) {
                Some(held) if held.read.is_some() => View::Sockets(*space, &held.sockets),
                _ => View::Unread,
            },
        }
    }
}

/// How urgent it is to read a list.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// As many sockets as when it was read.
    unchanged: bool,
    read: Option<Instant>,
}

/// One that has changed, one that has not, and so on, of each kind the oldest first.
fn in_turn<T>(due: Vec<(Due, T)>) -> Vec<T> {
    let mut kinds = [VecDeque::new(), VecDeque::new()];
    let mut all = due;
    all.sort_by_key(|(due, _)| due.read);
    let total = all.len();
    let [changed, unchanged] = &mut kinds;
    for (due, item) in all {
        if due.unchanged {
            unchanged.push_back(item);
        } else {
            changed.push_back(item);
        }
    }
    let mut order = Vec::with_capacity(total);
    while order.len() < total {
        order.extend(changed.pop_front());
        order.extend(unchanged.pop_front());
    }
    order
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

    /// Five change in every pass, which is all that there is time for: the others have their turn nevertheless.
    #[test]
    fn a_quiet_namespace_among_busy_ones() {
        let start = Instant::now();
        let mut read: Vec<Option<Instant>> = vec![Some(start); 8];
        for pass in 1..=6 {
            let now = start + Duration::from_secs(5 * pass);
            let due = |number: usize, read: Option<Instant>| Due {
                unchanged: number >= 5,
                read,
            };
            let all = read.iter().enumerate();
            let order = in_turn(all.map(|(number, at)| (due(number, *at), number)).collect());
            assert_eq!(order.len(), read.len());
            for number in order.into_iter().take(5) {
                read[number] = Some(now);
            }
        }
        let oldest = read.iter().flatten().min().unwrap();
        assert!(
            *oldest >= start + Duration::from_secs(5 * 3),
            "{:?}",
            start - *oldest
        );
    }

    /// More services than namespaces may be, most of them in one.
    #[test]
    fn namespaces_are_bounded_not_services() {
        let accounts: Vec<_> = (0..=u32::try_from(MAX_NAMESPACES).unwrap() + 2)
            .map(|pid| Account::Process { pid, started: 1 })
            .collect();
        let mut namespaces = Namespaces::new(Some(1), None);
        let shared = accounts.iter().map(|account| (account, 7, 7));
        namespaces.learn(shared);
        assert_eq!((namespaces.held.len(), namespaces.left_out()), (1, 0));
        assert!(matches!(namespaces.view(accounts.last().unwrap()), View::Unread));
        let each = accounts
            .iter()
            .zip(1..)
            .map(|(account, space)| (account, 7, space));
        namespaces.learn(each);
        // Of the three too many one is our own.
        assert_eq!(
            (namespaces.held.len(), namespaces.left_out()),
            (MAX_NAMESPACES, 2)
        );
        assert!(matches!(namespaces.view(&accounts[0]), View::Own));
        assert!(matches!(namespaces.view(accounts.last().unwrap()), View::Unread));
        namespaces.learn(std::iter::empty());
        assert!(matches!(namespaces.view(&accounts[0]), View::Hidden));
    }

    /// Others on this machine come and go too: that there are any is all that can be said.
    #[test]
    fn own_namespace() {
        let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(count(&Processes::new("/proc"), std::process::id()) > 0);
        assert_eq!(count(&Processes::new("/proc"), u32::MAX), 0);
    }
}
