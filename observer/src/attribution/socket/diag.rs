//! `NETLINK_SOCK_DIAG`: one request for all sockets, answers parsed in place. Needs no privilege; sees the network namespace
//! of this process.
//!
//! What a dump costs on a machine with few sockets is the walk over the kernel's table of them, half a millisecond for
//! 262,144 buckets. So it is asked in the older form, which gives both address families in one walk; a kernel that does
//! not know it (any more) is asked for each family.
//!
//! The messages are two fixed structures (`linux/inet_diag.h`), so the parser is here rather than in a crate; the
//! socket itself is `netlink-sys`.

use std::io;

use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr};

use super::{Address, Entry, Sockets, State};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const TCPDIAG_GETSOCK: u16 = 18;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;
const MESSAGE: usize = 72;
const INET_DIAG_CGROUP_ID: u16 = 21;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;

/// The kernel fills at most 32 KiB for one read of a dump.
const BUFFER: usize = 64 * 1024;

/// Reads of one dump, so that a kernel that never says "done" cannot hold us: 262,144 sockets need about 1,200.
const MAX_READS: usize = 16_384;

/// Every TCP socket that is in one of `states`.
pub fn dump(states: &[State]) -> io::Result<Sockets> {
    let mask = states
        .iter()
        .fold(0_u32, |mask, state| mask | 1 << u32::from(*state as u8));
    ask(&[of_both_families(mask)]).or_else(|_| ask(&[AF_INET, AF_INET6].map(|family| request(family, mask))))
}

fn ask(requests: &[Vec<u8>]) -> io::Result<Sockets> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    let mut sockets = Sockets::default();
    for request in requests {
        socket.send_to(request, &SocketAddr::new(0, 0), 0)?;
        receive(&socket, &mut sockets)?;
    }
    Ok(sockets)
}

fn receive(socket: &Socket, sockets: &mut Sockets) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    for _ in 0..MAX_READS {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        if parse(&buffer, sockets)? {
            return Ok(());
        }
    }
    Err(io::Error::other("the kernel's list of sockets does not end"))
}

/// `inet_diag_req_v2` behind its `nlmsghdr`: of the socket looked for nothing is said.
fn request(family: u8, states: u32) -> Vec<u8> {
    let mut bytes = header(SOCK_DIAG_BY_FAMILY, 8 + SOCKET);
    bytes.extend([family, IPPROTO_TCP, 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend([0; SOCKET]);
    bytes
}

/// `inet_diag_req`: there is a family in it, but the kernel does not look at it (`inet_diag_dump_compat`, at least 5.10 to 6.18).
fn of_both_families(states: u32) -> Vec<u8> {
    let mut bytes = header(TCPDIAG_GETSOCK, 4 + SOCKET + 8);
    bytes.extend([AF_INET, 0, 0, 0]);
    bytes.extend([0; SOCKET]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes
}

/// Length of `inet_diag_sockid`.
const SOCKET: usize = 48;

fn header(kind: u16, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + length);
    bytes.extend(u32::try_from(HEADER + length).unwrap_or(u32::MAX).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes
}

/// One read's messages; true when they were the last.
fn parse(mut bytes: &[u8], sockets: &mut Sockets) -> io::Result<bool> {
    while let Some(length) = u32_at(bytes, 0) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (Some(message), Some(kind)) = (bytes.get(..length), u16_at(bytes, 4)) else {
            break;
        };
        match kind {
            // With an error too, where the kernel has nothing to list with.
            NLMSG_DONE => {
                return match code(message) {
                    code if code < 0 => Err(io::Error::from_raw_os_error(code.saturating_neg())),
                    _ => Ok(true),
                };
            }
            NLMSG_ERROR => return Err(io::Error::from_raw_os_error(code(message).saturating_neg())),
            SOCK_DIAG_BY_FAMILY | TCPDIAG_GETSOCK => {
                if let Some(entry) = message.get(HEADER..).and_then(parse_entry) {
                    sockets.push(entry);
                }
            }
            _ => {}
        }
        // A length below that of the header would keep us here for ever.
        let step = length.next_multiple_of(4).max(HEADER);
        bytes = bytes.get(step..).unwrap_or_default();
    }
    Ok(false)
}

fn code(message: &[u8]) -> i32 {
    u32_at(message, HEADER).map_or(0, u32::cast_signed)
}

/// `inet_diag_msg` and the attributes behind it.
fn parse_entry(bytes: &[u8]) -> Option<Entry> {
    let family = *bytes.first()?;
    let port = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| -> Option<[u8; 16]> {
        if family == AF_INET {
            let v4: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            return Some(std::net::Ipv4Addr::from(v4).to_ipv6_mapped().octets());
        }
        bytes.get(at..at + 16)?.try_into().ok()
    };
    Some(Entry {
        state: State::from_raw(*bytes.get(1)?)?,
        local: Address {
            ip: address(8)?,
            port: port(4)?,
        },
        remote: Address {
            ip: address(24)?,
            port: port(6)?,
        },
        inode: u64::from(u32_at(bytes, 68)?),
        cgroup: bytes.get(MESSAGE..).and_then(cgroup_of).unwrap_or(0),
    })
}

fn cgroup_of(mut attributes: &[u8]) -> Option<u64> {
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length);
        if kind == INET_DIAG_CGROUP_ID {
            return Some(u64::from_ne_bytes(attributes.get(4..12)?.try_into().ok()?));
        }
        attributes = attributes.get(length.next_multiple_of(4).max(4)..)?;
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;
    use crate::skip::skipped;

    #[test]
    fn own_sockets_of_both_families() {
        for host in ["127.0.0.1", "::1"] {
            let Ok(listener) = TcpListener::bind((host, 0)) else {
                skipped("own_sockets_of_both_families", &format!("no address {host} here"));
                continue;
            };
            let server = listener.local_addr().unwrap();
            let stream = TcpStream::connect(server).unwrap();
            let client = stream.local_addr().unwrap();
            let sockets = dump(&[State::Established, State::Listen]).unwrap();
            let server = Address::new(server.ip(), server.port());
            let client = Address::new(client.ip(), client.port());
            let entry = sockets.find(client, server).unwrap();
            assert_eq!(entry.state, State::Established);
            assert_ne!(entry.inode, 0);
            assert_eq!(sockets.listener(server).unwrap().state, State::Listen);
            let only_listening = dump(&[State::Listen]).unwrap();
            assert!(
                only_listening
                    .entries
                    .iter()
                    .all(|entry| entry.state == State::Listen)
            );
        }
    }

    /// The same of a kernel that knows only the newer form.
    #[test]
    fn each_family_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let server = Address::new(server.ip(), server.port());
        let both = ask(&[of_both_families(1 << 10)]).unwrap();
        let each = ask(&[AF_INET, AF_INET6].map(|family| request(family, 1 << 10))).unwrap();
        for sockets in [both, each] {
            let found = sockets.listener(server).unwrap();
            assert_eq!((found.state, found.cgroup != 0), (State::Listen, true));
        }
    }

    #[test]
    fn an_end_that_is_an_error() {
        let end = |code: i32| {
            let mut bytes = 20_u32.to_ne_bytes().to_vec();
            bytes.extend(NLMSG_DONE.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(code.to_ne_bytes());
            parse(&bytes, &mut Sockets::default())
        };
        assert!(end(0).unwrap());
        assert_eq!(end(-2).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    proptest! {
        #[test]
        fn any_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes, &mut Sockets::default());
        }

        #[test]
        fn any_entry(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_entry(&bytes);
        }
    }
}
