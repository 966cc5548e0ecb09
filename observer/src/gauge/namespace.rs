//! Sockets in the network namespaces of pods and containers, from `/proc/PID/net/tcp` of one process in each: takes
//! the host's PID namespace and no capability. Reading one takes milliseconds, since the kernel walks the sockets of all
//! namespaces for it; so each pass reads those that have changed, which a program in the kernel counts ([`Changes`]), and
//! remembers the others. Without the program those are read whose number of sockets has changed, and in turn with them
//! those that were read longest ago, since as many may have come as gone. With `sock_diag` it would be faster, but entering
//! a namespace takes `CAP_SYS_ADMIN`.

mod turn;

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::time::{Duration, Instant};

use observer_ebpf::change::MAX_NAMESPACES;

use self::turn::{Due, Kind, in_turn};
use super::account::Books;
use crate::attribution::file;
use crate::attribution::process::Processes;
use crate::attribution::roster::Account;
use crate::attribution::socket::{Sockets, State, table};

/// Who knows where connections to databases, or listening sockets, have come or gone.
pub trait Changes: Debug + Send {
    /// How often in this namespace, since it was first asked about; `None`: that is not known.
    fn count(&mut self, space: u64) -> Option<u64>;

    /// Will not be asked about again, or only anew.
    fn forget(&mut self, space: u64);

    /// How many changes, of whatever sockets, were not looked at so far.
    fn missed(&self) -> u64;
}

#[derive(Debug, Default)]
pub struct Namespaces {
    own: Option<u64>,
    /// Where the first process is, whose sockets are anybody's.
    host: Option<u64>,
    changes: Option<Box<dyn Changes>>,
    missed: u64,
    /// With a process that is there.
    of_account: HashMap<Account, (u32, u64)>,
    held: HashMap<u64, Held>,
    /// When a list was last read although nothing had changed.
    checked: Option<Instant>,
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
    /// When they were read.
    mark: Mark,
    /// Whether they had the same mark already when they were read before: a change is counted a moment before it is made.
    settled: bool,
    /// Since when it is known that something has changed, or may have; `None`: nothing has.
    behind: Option<Instant>,
    sockets: Sockets,
}

/// What tells whether a list is still right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    None,
    /// How often something had changed.
    Changes(u64),
    /// How many sockets there were.
    InUse(u64),
}

/// What is of use: who calls, and who listens.
const STATES: [State; 2] = [State::Established, State::Listen];

/// Time for one pass: 1 % of a core at the default interval of 5 s, in which some 15 lists are read. One that opens or closes
/// connections is read in the next pass, where no more do than there is time for; else in turn. Where changes are not counted,
/// each kind has half of it, and 110 pods at rest are all read within two minutes.
const BUDGET: Duration = Duration::from_millis(50);

/// Read in any case, however long it takes: one of each kind.
const MIN_READS: usize = 2;

/// So often one list is read of which nothing has changed: if there is a way to miss a change that nobody has thought of, it
/// shall not be missed for ever. That is within an hour where there are 110.
const CHECK_AGAIN: Duration = Duration::from_secs(30);

/// Some ten lines, of which one counts.
const MAX_SOCKSTAT: u64 = 4096;

impl Namespaces {
    pub fn new(own: Option<u64>, host: Option<u64>) -> Self {
        Self {
            own,
            host,
            ..Self::default()
        }
    }

    pub fn set_changes(&mut self, changes: Box<dyn Changes>) {
        self.changes = Some(changes);
    }

    /// Learns where the accounts are, and reads as many namespaces as there is time for.
    pub fn refresh<'a>(&mut self, books: &Books, accounts: impl Iterator<Item = &'a Account>, now: Instant) {
        let known = std::mem::take(&mut self.of_account);
        let space = |process| books.processes.network_namespace(process);
        let found = accounts.filter_map(|account| {
            // Another process by now perhaps, but in the same place.
            let known = known.get(account).copied();
            let still = known.filter(|(process, before)| space(*process) == Some(*before));
            let (process, space) = still.or_else(|| {
                let process = books.any_process(account)?;
                Some((process, space(process)?))
            })?;
            Some((account, process, space))
        });
        self.learn(found);
        self.read(&books.processes, now);
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
            current.insert(account.clone(), (process, space));
        }
        self.left_out = left_out.len() as u64;
        self.of_account = current;
        let changes = &mut self.changes;
        self.held.retain(|space, _| {
            let stays = spaces.contains_key(space);
            if let Some(changes) = changes.as_mut().filter(|_| !stays) {
                changes.forget(*space);
            }
            stays
        });
        for (space, process) in spaces {
            let fresh = Held {
                process,
                read: None,
                mark: Mark::None,
                settled: false,
                behind: None,
                sockets: Sockets::default(),
            };
            self.held.entry(space).or_insert(fresh).process = process;
        }
    }

    fn read(&mut self, processes: &Processes, now: Instant) {
        let begun = Instant::now();
        let changes = &mut self.changes;
        let missed = changes.as_ref().map_or(0, |changes| changes.missed());
        if missed != self.missed {
            // Anybody's.
            self.held.values_mut().for_each(|held| held.settled = false);
            self.missed = missed;
        }
        let due = self.held.iter_mut().map(|(space, held)| {
            let count = changes.as_mut().and_then(|changes| changes.count(*space));
            let mark = count.map_or_else(|| Mark::InUse(in_use(processes, held.process)), Mark::Changes);
            let kind = held.kind(mark);
            if kind == Kind::Changed {
                held.behind.get_or_insert(now);
            }
            let due = Due {
                kind,
                read: held.read,
            };
            (due, (mark, held))
        });
        let is_check = self
            .checked
            .is_none_or(|at| now.saturating_duration_since(at) >= CHECK_AGAIN);
        let mut number = 0;
        for (mark, held) in in_turn(due.collect(), is_check) {
            if number >= MIN_READS && begun.elapsed() >= BUDGET {
                break;
            }
            let Ok(sockets) = table::read(processes, held.process, &STATES) else {
                continue;
            };
            number += 1;
            held.sockets = sockets;
            held.settled = held.mark == mark;
            held.mark = mark;
            held.read = Some(now);
            // Of a number of sockets that is the same nothing follows.
            held.behind = matches!(mark, Mark::InUse(_)).then_some(now);
        }
        if is_check && number > 0 {
            self.checked = Some(now);
        }
    }

    /// Namespaces that are not looked into because there are more than [`MAX_NAMESPACES`].
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// For how long the list that is most behind is so.
    pub fn oldest(&self, now: Instant) -> Duration {
        let since = self.held.values().filter_map(|held| held.behind).min();
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Whether others than the services that we know may have sockets there.
    pub fn is_public(&self, space: u64) -> bool {
        self.host == Some(space)
    }

    pub fn view(&self, account: &Account) -> View<'_> {
        match self.of_account.get(account) {
            None => View::Hidden,
            Some((_, space)) if Some(*space) == self.own => View::Own,
            Some((_, space)) => match self.held.get(space) {
                Some(held) if held.read.is_some() => View::Sockets(*space, &held.sockets),
                _ => View::Unread,
            },
        }
    }
}

impl Held {
    fn kind(&self, mark: Mark) -> Kind {
        if self.read.is_none() || self.mark != mark {
            return Kind::Changed;
        }
        match mark {
            Mark::Changes(_) if self.settled => Kind::Current,
            Mark::Changes(_) => Kind::Changed,
            Mark::InUse(_) | Mark::None => Kind::Unchanged,
        }
    }
}

/// TCP sockets of the process's namespace in use, which the kernel counts as they come and go.
fn in_use(processes: &Processes, pid: u32) -> u64 {
    ["net/sockstat", "net/sockstat6"]
        .into_iter()
        .filter_map(|name| in_use_of(&file::read(&processes.path(pid, name), MAX_SOCKSTAT).ok()?))
        .sum()
}

/// `TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1`, `TCP6: inuse 2`.
fn in_use_of(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("TCP"))?;
    line.split_ascii_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn sockets_in_use() {
        let check = |text, expected| assert_eq!(in_use_of(text), expected);
        check(
            "sockets: used 9\nTCP: inuse 5 orphan 0 tw 1 alloc 7 mem 1\nUDP: inuse 3 mem 2\n",
            Some(5),
        );
        check("TCP6: inuse 2\nUDP6: inuse 1\n", Some(2));
        check("TCP: inuse x\n", None);
        check("", None);
    }

    /// Counted by the test: by namespace, and what was missed.
    #[derive(Clone, Debug, Default)]
    struct Counted(Arc<Mutex<(HashMap<u64, u64>, u64)>>);

    impl Changes for Counted {
        fn count(&mut self, space: u64) -> Option<u64> {
            Some(*self.0.lock().unwrap().0.entry(space).or_default())
        }

        fn forget(&mut self, space: u64) {
            self.0.lock().unwrap().0.remove(&space);
        }

        fn missed(&self) -> u64 {
            self.0.lock().unwrap().1
        }
    }

    /// Everything once more after it has changed, and then not again but for the check; this process lends its list.
    #[test]
    fn only_what_has_changed_is_read() {
        let counted = Counted::default();
        let mut namespaces = Namespaces::new(Some(1), None);
        namespaces.set_changes(Box::new(counted.clone()));
        let accounts: Vec<_> = (0..3).map(|pid| Account::Process { pid, started: 1 }).collect();
        let processes = Processes::new("/proc");
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut pass = |seconds: u64| {
            let found = accounts.iter().zip(2..);
            let own = std::process::id();
            namespaces.learn(found.map(|(account, space)| (account, own, space)));
            namespaces.read(&processes, at(seconds));
            let read_now = |held: &Held| held.read == Some(at(seconds));
            let mut read: Vec<_> = namespaces
                .held
                .iter()
                .filter(|(_, held)| read_now(held))
                .collect();
            read.sort_by_key(|(space, _)| **space);
            let read: Vec<_> = read.into_iter().map(|(space, _)| *space).collect();
            (read, namespaces.oldest(at(seconds)))
        };
        let none = Duration::ZERO;
        assert_eq!(pass(0), (vec![2, 3, 4], none));
        // Again, for what was counted and not made yet.
        assert_eq!(pass(5), (vec![2, 3, 4], none));
        assert_eq!(pass(10), (vec![], none));
        *counted.0.lock().unwrap().0.get_mut(&3).unwrap() += 1;
        assert_eq!(pass(15), (vec![3], none));
        assert_eq!(pass(20), (vec![3], none));
        assert_eq!(pass(25), (vec![], none));
        // The check: the oldest of them.
        let (read, _) = pass(30);
        assert!(read == [2] || read == [4], "{read:?}");
        assert_eq!(pass(35), (vec![], none));
        // A change that nobody has looked at may have been anybody's.
        counted.0.lock().unwrap().1 += 1;
        assert_eq!(pass(40), (vec![2, 3, 4], none));
        assert_eq!(pass(45), (vec![], none));
        namespaces.learn(std::iter::empty());
        assert!(counted.0.lock().unwrap().0.is_empty());
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
        assert!(in_use(&Processes::new("/proc"), std::process::id()) > 0);
        assert_eq!(in_use(&Processes::new("/proc"), u32::MAX), 0);
    }
}
