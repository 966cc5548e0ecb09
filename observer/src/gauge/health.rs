//! Whether a service is well: a pod by its Ready condition, everything else by living and listening. Pure.

use super::namespace::View;
use super::subject::Subject;
use crate::attribution::socket::{Sockets, State};

/// Nothing for what was never seen to serve: a client has no health of its own. Nothing either where its sockets have
/// not been looked at yet; where they can never be, living is all that there is to see.
pub fn status(subject: &Subject, view: View<'_>, own: &Sockets) -> Option<bool> {
    if let Some(ready) = subject.ready {
        return Some(ready);
    }
    if subject.ports.is_empty() {
        return None;
    }
    if !subject.lives {
        return Some(false);
    }
    let sockets = match view {
        View::Own => own,
        View::Sockets(_, sockets) => sockets,
        View::Unread => return None,
        View::Hidden => return Some(true),
    };
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
        let listening = |port| {
            Sockets::of(vec![Entry {
                local: Address::new([0, 0, 0, 0], port),
                remote: Address::new([0, 0, 0, 0], 0),
                state: State::Listen,
                inode: 1,
                cgroup: 0,
            }])
        };
        let check = |ready, ports: &[u16], lives, view: View<'_>, own: &Sockets, expected| {
            let subject = Subject {
                account: Account::Process { pid: 1, started: 1 },
                identity: Arc::new(Identity::unknown("")),
                ports: ports.to_vec(),
                ready,
                lives,
            };
            assert_eq!(status(&subject, view, own), expected, "{view:?}");
        };
        let (none, it, other) = (Sockets::default(), listening(8081), listening(8082));
        check(Some(true), &[], true, View::Hidden, &none, Some(true));
        check(Some(false), &[8081], true, View::Own, &it, Some(false));
        check(None, &[], true, View::Own, &it, None);
        check(None, &[8081], true, View::Own, &it, Some(true));
        check(None, &[8081], true, View::Own, &other, Some(false));
        check(None, &[8081], true, View::Sockets(7, &it), &other, Some(true));
        check(None, &[8081], true, View::Sockets(7, &other), &it, Some(false));
        check(None, &[8081], false, View::Own, &it, Some(false));
        check(None, &[8081], false, View::Unread, &it, Some(false));
        check(None, &[8081], true, View::Unread, &it, None);
        check(None, &[8081], true, View::Hidden, &it, Some(true));
    }
}
