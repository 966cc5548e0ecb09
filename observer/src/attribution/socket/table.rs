//! `/proc/PID/net/tcp` and `tcp6`: the sockets of the network namespace of a process. Slower than `sock_diag` and
//! without cgroups, but the only view into another namespace that needs no `CAP_SYS_ADMIN`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use super::{Address, Entry, Sockets, State};
use crate::attribution::process::Processes;

/// A line is 150 characters; a longer one is not of the kernel.
const MAX_LINE: u64 = 512;

/// Every TCP socket of the process's network namespace that is in one of `states`.
pub fn read(processes: &Processes, pid: u32, states: &[State]) -> io::Result<Sockets> {
    let mut sockets = Sockets::default();
    collect(File::open(processes.path(pid, "net/tcp"))?, states, &mut sockets)?;
    match File::open(processes.path(pid, "net/tcp6")) {
        Ok(file) => collect(file, states, &mut sockets)?,
        // Absent where IPv6 is not compiled in or switched off; or the process has ended meanwhile, and nothing is known.
        Err(_) => drop(File::open(processes.path(pid, "net/tcp"))?),
    }
    Ok(sockets)
}

fn collect(file: impl io::Read, states: &[State], sockets: &mut Sockets) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut line = String::new();
    loop {
        line.clear();
        if io::Read::take(&mut reader, MAX_LINE).read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(entry) = parse(&line).filter(|entry| states.contains(&entry.state)) {
            sockets.push(entry);
        }
    }
}

/// `sl local remote state queues timer retransmits uid timeout inode …`; the headline is no entry.
fn parse(line: &str) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace();
    let local = parse_address(fields.nth(1)?)?;
    let remote = parse_address(fields.next()?)?;
    let state = State::from_raw(u8::from_str_radix(fields.next()?, 16).ok()?)?;
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Entry {
        local,
        remote,
        state,
        inode,
        cgroup: 0,
    })
}

/// The kernel prints 32-bit words of the address as numbers of this machine's byte order.
fn parse_address(text: &str) -> Option<Address> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match ip.len() {
        8 => Some(Address::new(std::net::Ipv4Addr::from(word(0)?), port)),
        32 => {
            let mut bytes = [0; 16];
            for (target, at) in bytes.chunks_exact_mut(4).zip((0..).step_by(8)) {
                target.copy_from_slice(&word(at)?);
            }
            Some(Address { ip: bytes, port })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines() {
        let check = |line: &str, local: (&str, u16), remote: (&str, u16), state: State, inode: u64| {
            let address = |(ip, port): (&str, u16)| Address::new(ip.parse::<IpAddr>().unwrap(), port);
            let expected = Entry {
                local: address(local),
                remote: address(remote),
                state,
                inode,
                cgroup: 0,
            };
            assert_eq!(parse(line), Some(expected), "{line}");
        };
        check(
            "   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 9123 1 0 100 0 0 10 0",
            ("127.0.0.1", 8081),
            ("0.0.0.0", 0),
            State::Listen,
            9123,
        );
        check(
            "  12: 0000000000000000FFFF00000100007F:D431 0000000000000000FFFF00000100007F:1538 01 00000000:00000000 02:0000 0 70 0 77 2",
            ("127.0.0.1", 54321),
            ("127.0.0.1", 5432),
            State::Established,
            77,
        );
        check(
            "  12: 00000000000000000000000001000000:D431 00000000000000000000000001000000:1538 06 0:0 03:0 0 0 0 0 3",
            ("::1", 54321),
            ("::1", 5432),
            State::TimeWait,
            0,
        );
        assert_eq!(
            parse("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"),
            None
        );
        assert_eq!(parse(""), None);
    }

    #[test]
    fn agrees_with_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let stream = TcpStream::connect(server).unwrap();
        let client = stream.local_addr().unwrap();
        let sockets = read(&Processes::new("/proc"), std::process::id(), &State::ALL).unwrap();
        let (client, server) = (
            Address::new(client.ip(), client.port()),
            Address::new(server.ip(), server.port()),
        );
        let from_kernel = super::super::diag::dump(&State::ALL).unwrap();
        let entry = sockets.find(client, server).unwrap();
        assert_eq!(entry.inode, from_kernel.find(client, server).unwrap().inode);
        assert_eq!(
            sockets.listener(server).unwrap().inode,
            from_kernel.listener(server).unwrap().inode
        );
    }

    proptest! {
        #[test]
        fn any_line(line in "\\PC*") {
            let _ = parse(&line);
        }
    }
}
