//! Whether a service is well: a pod by its Ready condition, everything else by living and listening. Pure.

use super::subject::Subject;
use crate::attribution::socket::{Sockets, State};

/// Nothing for what was never seen to serve: a client has no health of its own. `sockets` are those of the subject's
/// network namespace, where they are known.
pub fn status(subject: &Subject, sockets: Option<&Sockets>) -> Option<bool> {
    if let Some(ready) = subject.ready {
        return Some(ready);
    }
    if subject.ports.is_empty() {
        return None;
    }
    if !subject.lives {
        return Some(false);
    }
    let Some(sockets) = sockets else { return Some(true) };
    let listening = sockets
        .entries
        .iter()
        .filter(|entry| entry.state == State::Listen);
    Some(
        listening
            .into_iter()
            .any(|entry| subject.ports.contains(&entry.local.port)),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::attribution::Identity;
    use crate::attribution::roster::Account;
    use crate::attribution::socket::{Address, Entry};

    #[test]
    fn pods_and_processes() {
        let listening = |port| Sockets {
            entries: vec![Entry {
                local: Address::new([0, 0, 0, 0], port),
                remote: Address::new([0, 0, 0, 0], 0),
                state: State::Listen,
                inode: 1,
                cgroup: 0,
            }],
            refused: 0,
        };
        let check = |ready, ports: &[u16], lives, sockets: Option<Sockets>, expected| {
            let subject = Subject {
                account: Account::Process { pid: 1, started: 1 },
                identity: Arc::new(Identity::unknown("")),
                ports: ports.to_vec(),
                ready,
                lives,
            };
            assert_eq!(status(&subject, sockets.as_ref()), expected);
        };
        check(Some(true), &[], true, None, Some(true));
        check(Some(false), &[8081], true, Some(listening(8081)), Some(false));
        check(None, &[], true, Some(listening(8081)), None);
        check(None, &[8081], true, Some(listening(8081)), Some(true));
        check(None, &[8081], true, Some(listening(8082)), Some(false));
        check(None, &[8081], false, Some(listening(8081)), Some(false));
        check(None, &[8081], true, None, Some(true));
    }
}
