//! Data that arrives on the very segment that completes the handshake, or before it: the programs then meet the
//! listening socket.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};
use tests::capture::comparison::compare;
use tests::capture::place::spawn;
use tests::capture::script::{converse, http2};
use tests::capture::tap::End;
use tests::capture::watch::Watch;
use tests::namespace::{Pair, SERVER};
use tests::prerequisite::{Error, get, or_skip};
use tests::process::Place;

/// `MSG_FASTOPEN` of Linux.
const FAST_OPEN: SendFlags = SendFlags::from_bits_retain(0x2000_0000);
/// Client and server, data without a cookie on both sides, every listener: `tcp_fastopen` of the kernel's
/// ip-sysctl.
const FAST_OPEN_ALL: &str = "net.ipv4.tcp_fastopen=1543";
const TCP_DEFER_ACCEPT: i32 = 9;
const CALLS: u32 = 40;

fn inside(place: &Place, command: &[&str]) -> Result<String, Error> {
    let namespace = place.namespace.clone().unwrap();
    get(Command::new("ip")
        .args(["netns", "exec", &namespace])
        .args(command))
}

/// How the client opens its connection: the stream, and how many of the bytes it has sent by that.
type Open = fn(SocketAddr, &[u8]) -> (TcpStream, usize);

fn connect(address: SocketAddr, _: &[u8]) -> (TcpStream, usize) {
    (TcpStream::connect(address).unwrap(), 0)
}

fn fast_open(address: SocketAddr, bytes: &[u8]) -> (TcpStream, usize) {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket: OwnedFd = socket(family, SocketType::STREAM, None).unwrap();
    let first = &bytes[..bytes.len().min(900)];
    let sent = sendto(&socket, first, FAST_OPEN, &address).unwrap();
    (socket.into(), sent)
}

/// One connection that is opened like this; what the two ends saw of it.
fn exchange(pair: &Pair, address: &str, prepare: fn(&TcpListener), open: Open, number: u64) -> Vec<End> {
    let address: std::net::IpAddr = address.parse().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let server = spawn(&pair.server(), move || {
        let listener = TcpListener::bind((address, 0)).unwrap();
        prepare(&listener);
        tell.send(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        converse(stream, &http2(false, CALLS, number), 0, 700).unwrap()
    });
    let at = told.recv().unwrap();
    let client = spawn(&pair.client(), move || {
        let bytes = http2(true, CALLS, number);
        let (stream, sent) = open(at, &bytes);
        converse(stream, &bytes, sent, 1100).unwrap()
    });
    vec![client.join().unwrap(), server.join().unwrap()]
}

/// A counter of the server's TCP, by its name in `/proc/net/netstat`.
fn counted(pair: &Pair, name: &str) -> u64 {
    let text = inside(&pair.server(), &["cat", "/proc/net/netstat"]).unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().unwrap().split(' '), lines.next().unwrap().split(' '));
    let found = names.zip(values).find(|(found, _)| *found == name);
    found
        .unwrap_or_else(|| panic!("the kernel does not count {name}"))
        .1
        .parse()
        .unwrap()
}

/// `happened` counts how often the road or the sockets did what the test is about.
fn check(
    test: &str,
    prepare_road: fn(&Pair) -> Result<(), Error>,
    prepare: fn(&TcpListener),
    open: Open,
    happened: fn(&Pair) -> u64,
) {
    let Some(pair) = or_skip(test, Pair::new()) else {
        return;
    };
    if or_skip(test, prepare_road(&pair)).is_none() {
        return;
    }
    let Some(watch) = or_skip(test, Watch::start()) else {
        return;
    };
    let ends: Vec<End> = (0..12)
        .flat_map(|number| exchange(&pair, SERVER[number % 2], prepare, open, number as u64))
        .collect();
    let happened = happened(&pair);
    assert!(happened >= 12, "{test}: happened on {happened} connections only");
    let (seen, losses) = watch.finish();
    compare(&ends, &seen).assert(test, &losses);
}

#[test]
fn fast_open_with_data() {
    let road = |pair: &Pair| {
        inside(&pair.client(), &["sysctl", "-w", FAST_OPEN_ALL])?;
        inside(&pair.server(), &["sysctl", "-w", FAST_OPEN_ALL]).map(drop)
    };
    check(
        "fast_open_with_data",
        road,
        |_| {},
        fast_open,
        |pair| counted(pair, "TCPFastOpenPassive"),
    );
}

/// The plain ACK never arrives, so the first data completes the handshake.
#[test]
fn third_segment_lost() {
    let road = |pair: &Pair| {
        // The first of every client port; data has PSH with it.
        let ack = "tcp flags & (fin | syn | rst | psh | ack) == ack";
        let rules = format!(
            "table netdev lossy {{\n set seen {{ type inet_service; size 64; flags dynamic; }}\n\
             chain ingress {{ type filter hook ingress device veth0 priority 0;\n\
             {ack} tcp sport @seen accept\n {ack} add @seen {{ tcp sport }} counter drop\n}}\n}}\n"
        );
        inside(&pair.server(), &["nft", &rules]).map(drop)
    };
    check(
        "third_segment_lost",
        road,
        |_| {},
        connect,
        |pair| {
            let rules = inside(&pair.server(), &["nft", "list", "table", "netdev", "lossy"]).unwrap();
            let (_, count) = rules.split_once("counter packets ").unwrap();
            count.split(' ').next().unwrap().parse().unwrap()
        },
    );
}

#[test]
fn accept_deferred() {
    let defer = |listener: &TcpListener| set_option(listener, TCP_DEFER_ACCEPT, 5);
    check(
        "accept_deferred",
        |_| Ok(()),
        defer,
        connect,
        |pair| counted(pair, "TCPDeferAcceptDrop"),
    );
}

#[expect(unsafe_code, reason = "neither std nor rustix know this option")]
fn set_option(listener: &TcpListener, option: i32, value: i32) {
    use std::os::fd::AsRawFd as _;
    let (fd, length) = (listener.as_raw_fd(), size_of::<i32>() as u32);
    // SAFETY: the value lives during the call and has the length that is said.
    let result =
        unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, option, (&raw const value).cast(), length) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
