//! Sockets in the network namespaces of pods and containers. Reading one takes some 10 ms, since the kernel walks
//! the sockets of all namespaces for it; so each pass reads a few, the oldest first, and remembers the others. With
//! `sock_diag` it would be faster, but entering a namespace takes `CAP_SYS_ADMIN`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::account::Books;
use crate::attribution::roster::Account;
use crate::attribution::socket::{Sockets, State, table};

#[derive(Debug, Default)]
pub struct Namespaces {
    own: Option<u64>,
    of_account: HashMap<Account, u64>,
    held: HashMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    process: u32,
    read: Option<Instant>,
    sockets: Sockets,
}

/// What is of use: who calls, and who listens.
const STATES: [State; 2] = [State::Established, State::Listen];

/// Time for one pass: 1 % of a core at the default interval of 15 s. 110 pods are all read within two minutes and a half.
const BUDGET: Duration = Duration::from_millis(150);

/// One for each pod.
const MAX_NAMESPACES: usize = 1024;

impl Namespaces {
    pub fn new(own: Option<u64>) -> Self {
        Self {
            own,
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
                sockets: Sockets::default(),
            };
            self.held.entry(space).or_insert(fresh).process = process;
        }
        self.read(books, now);
    }

    fn read(&mut self, books: &Books, now: Instant) {
        let begun = Instant::now();
        let mut due: Vec<&mut Held> = self.held.values_mut().collect();
        due.sort_by_key(|held| held.read);
        for held in due {
            if begun.elapsed() >= BUDGET {
                return;
            }
            if let Ok(sockets) = table::read(&books.processes, held.process, &STATES) {
                held.sockets = sockets;
                held.read = Some(now);
            }
        }
    }

    pub fn is_own(&self, account: &Account) -> bool {
        self.of_account
            .get(account)
            .is_some_and(|space| Some(*space) == self.own)
    }

    /// The sockets of the account's namespace, if that is another than ours and was read already.
    pub fn sockets(&self, account: &Account) -> Option<(u64, &Sockets)> {
        let space = self.of_account.get(account)?;
        let held = self.held.get(space).filter(|held| held.read.is_some())?;
        Some((*space, &held.sockets))
    }
}
