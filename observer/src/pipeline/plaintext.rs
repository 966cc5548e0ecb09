//! Connections that were seen in plaintext inside of a process, beside the encrypted ones of their sockets: whose they
//! are and when they end is what the kernel says of the socket.

use observer_ebpf::plaintext::{PLAINTEXT, UNTIED};
use observer_ebpf::record::Socket;

/// The socket that carries, encrypted, what this connection has in plaintext; `None`: it is none such, or its socket is
/// not known.
pub(super) const fn socket_of(connection: u64) -> Option<u64> {
    if connection & PLAINTEXT != 0 && connection & UNTIED == 0 {
        Some(connection & !PLAINTEXT)
    } else {
        None
    }
}

/// What the probe inside of the process cannot know, from the socket's own record.
pub(super) const fn inherit(plain: &mut Socket, encrypted: &Socket) {
    let Socket {
        cgroup,
        local,
        remote,
        local_port,
        remote_port,
        process,
        command,
        role,
        // What is said is the plaintext's own.
        protocol: _,
        joined: _,
        requests: _,
        reserved: _,
    } = *encrypted;
    plain.local = local;
    plain.remote = remote;
    plain.local_port = local_port;
    plain.remote_port = remote_port;
    plain.role = role;
    // The same names as without TLS: they are of whoever made the socket, not of whoever encrypts.
    if cgroup != 0 {
        plain.cgroup = cgroup;
    }
    if process != 0 {
        plain.process = process;
        plain.command = command;
    }
}

/// Connections whose sockets have ended. A program may still read what came before the end, so they are given until the
/// next sweep but one.
#[derive(Debug, Default)]
pub(super) struct Departing {
    young: Vec<(u64, u64)>,
    old: Vec<(u64, u64)>,
}

impl Departing {
    /// Of the socket with that cookie, which ended at `time`.
    pub(super) fn add(&mut self, cookie: u64, time: u64) {
        self.young.push((cookie | PLAINTEXT, time));
    }

    /// Those that have had their time, with the times of their sockets' ends.
    pub(super) fn turn(&mut self) -> Vec<(u64, u64)> {
        std::mem::replace(&mut self.old, std::mem::take(&mut self.young))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_connections() {
        assert_eq!(socket_of(7), None);
        assert_eq!(socket_of(7 | PLAINTEXT), Some(7));
        assert_eq!(socket_of(7 | PLAINTEXT | UNTIED), None);
    }

    #[test]
    fn departed_after_two_turns() {
        let mut departing = Departing::default();
        departing.add(7, 100);
        assert_eq!(departing.turn(), []);
        assert_eq!(departing.turn(), [(7 | PLAINTEXT, 100)]);
        assert_eq!(departing.turn(), []);
    }
}
