//! What a socket says of its owner by itself, as the kernel has told it.

use observer_ebpf::record::{Protocol, Role, Socket};

use crate::attribution::host::INIT;
use crate::attribution::socket::{Entry, State};

/// The kernel did not see who made it, or it was made on behalf of somebody.
pub(super) fn is_nameless(socket: &Socket) -> bool {
    matches!(socket.process, 0 | INIT)
}

/// The port that the owner of the socket serves on it. Where the role is not known, services have lower numbers than
/// the ports that the kernel gives to clients.
pub fn served_port(socket: &Socket) -> Option<u16> {
    match Role::from_raw(socket.role) {
        Role::Passive => Some(socket.local_port),
        Role::Active => None,
        Role::Unknown => (socket.local_port < socket.remote_port).then_some(socket.local_port),
    }
}

/// What the kernel would have told of it.
pub(super) fn record(entry: &Entry) -> Socket {
    let role = if entry.state == State::Listen {
        Role::Passive
    } else {
        Role::Active
    };
    Socket {
        cgroup: entry.cgroup,
        local: entry.local.ip,
        remote: entry.remote.ip,
        local_port: entry.local.port,
        remote_port: entry.remote.port,
        process: 0,
        command: [0; 16],
        protocol: Protocol::Undecided as u8,
        role: role as u8,
        joined: 1,
        requests: 0,
        reserved: [0; 4],
    }
}

pub(super) fn command(socket: &Socket) -> Option<String> {
    let name = socket.command.split(|byte| *byte == 0).next().unwrap_or_default();
    (!name.is_empty() && socket.process != INIT).then(|| String::from_utf8_lossy(name).into_owned())
}
