//! Who was identified lately, and what accounts for them: the gauges' list of services outside Kubernetes (and of
//! the pods' sockets within it).

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::identity::Identity;

/// What has the processor time and memory of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// Paths below the mounts; where only one is known, the others are where it is.
    Cgroup {
        unified: Box<str>,
        cpuacct: Box<str>,
        memory: Box<str>,
    },
    /// A process and its descendants. `started` tells it from a later one with its number.
    Process { pid: u32, started: u64 },
}

/// Of a cgroup by one of its paths: they are long, and accounts that differ hardly ever have it in common.
impl Hash for Account {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Cgroup { memory, .. } => memory.hash(state),
            Self::Process { pid, started } => (pid, started).hash(state),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Member {
    pub identity: Arc<Identity>,
    /// What it serves, of what was seen.
    pub ports: Vec<u16>,
    seen: Instant,
}

#[derive(Debug, Default)]
pub struct Roster {
    members: HashMap<Account, Member>,
    /// Left out because of [`MAX_MEMBERS`].
    pub refused: u64,
}

/// Services of one node, and the short-lived processes of a minute: about 300 bytes each.
const MAX_MEMBERS: usize = 4096;

/// Ports of one member that are watched for its health.
const MAX_PORTS: usize = 16;

/// A member whose account has gone is reported unhealthy for so long.
pub const KEEP_GONE: Duration = Duration::from_mins(5);

impl Roster {
    pub fn enrol(&mut self, account: Account, identity: &Arc<Identity>, port: Option<u16>, now: Instant) {
        let full = self.members.len() >= MAX_MEMBERS;
        if full && !self.members.contains_key(&account) {
            self.refused += 1;
            return;
        }
        let member = self.members.entry(account).or_insert_with(|| Member {
            identity: Arc::clone(identity),
            ports: Vec::new(),
            seen: now,
        });
        // What it serves names it; its calls to others, made in the same cgroup, do not change that.
        if port.is_some() || member.ports.is_empty() {
            member.identity = Arc::clone(identity);
        }
        member.seen = now;
        if let Some(port) = port
            && !member.ports.contains(&port)
            && member.ports.len() < MAX_PORTS
        {
            member.ports.push(port);
        }
    }

    pub fn members(&self) -> impl Iterator<Item = (&Account, &Member)> {
        self.members.iter()
    }

    /// Drops whom `lives` denies: at once pods (they were told to go) and those that never served (clients come and
    /// go), after a while the others.
    pub fn retain(&mut self, now: Instant, mut lives: impl FnMut(&Account) -> bool) {
        self.members.retain(|account, member| {
            if lives(account) {
                member.seen = now;
                return true;
            }
            let served = !member.ports.is_empty() && member.identity.pod.is_empty();
            served && now.saturating_duration_since(member.seen) < KEEP_GONE
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead() {
        let mut roster = Roster::default();
        let identity = Arc::new(Identity::unknown("n"));
        let start = Instant::now();
        let process = |pid| Account::Process { pid, started: 1 };
        roster.enrol(process(1), &identity, Some(8081), start);
        roster.enrol(process(2), &identity, None, start);
        roster.retain(start, |_| false);
        let left: Vec<_> = roster.members().map(|(account, _)| account.clone()).collect();
        assert_eq!(left, [process(1)]);
        roster.retain(start + KEEP_GONE, |_| false);
        assert_eq!(roster.members().count(), 0);
    }

    #[test]
    fn a_flood_of_processes() {
        let mut roster = Roster::default();
        let identity = Arc::new(Identity::unknown("n"));
        for pid in 0..5000 {
            roster.enrol(
                Account::Process { pid, started: 1 },
                &identity,
                None,
                Instant::now(),
            );
        }
        assert_eq!(roster.members().count(), MAX_MEMBERS);
        assert_eq!(roster.refused, 5000 - MAX_MEMBERS as u64);
    }
}
