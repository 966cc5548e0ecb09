//! MPTCP: sockets that fall back to TCP are seen as any other; where both ends speak it, the connection is told as
//! hidden and nothing in it is believed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::time::Duration;

use observer_ebpf::record::Protocol as Carries;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, Protocol, SocketType, bind, connect, listen, socket};
use tests::capture::comparison::compare;
use tests::capture::script::{converse, http2};
use tests::capture::tap::End;
use tests::capture::watch::Watch;
use tests::prerequisite::{Error, or_skip};

const CALLS: u32 = 40;
const CONNECTIONS: u64 = 6;
/// `IPPROTO_MPTCP`.
const MULTIPATH: Protocol = Protocol::from_raw(NonZeroU32::new(262).unwrap());

/// What Go programs do when they listen.
fn multipath_listener() -> Result<TcpListener, Error> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let socket = socket(AddressFamily::INET, SocketType::STREAM, Some(MULTIPATH))
        .map_err(|error| Error::Missing(format!("the kernel has no MPTCP: {error}")))?;
    bind(&socket, &any).unwrap();
    listen(&socket, 64).unwrap();
    // A client that has failed does not come.
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_mins(1))).unwrap();
    Ok(socket.into())
}

type Connect = fn(SocketAddr) -> TcpStream;

fn plain(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap()
}

fn multipath(address: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, Some(MULTIPATH)).unwrap();
    connect(&socket, &address).unwrap();
    socket.into()
}

fn exchange(listener: &TcpListener, connect: Connect, number: u64) -> [End; 2] {
    let at = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || {
        let stream = connect(at);
        converse(stream, &http2(true, CALLS, number), 0, 1100).unwrap()
    });
    let (stream, _) = listener.accept().unwrap();
    let server = converse(stream, &http2(false, CALLS, number), 0, 700).unwrap();
    [client.join().unwrap(), server]
}

#[test]
fn multipath_listener_with_plain_clients() {
    let test = "multipath_listener_with_plain_clients";
    let Some(listener) = or_skip(test, multipath_listener()) else {
        return;
    };
    let Some(watch) = or_skip(test, Watch::start()) else {
        return;
    };
    let ends: Vec<End> = (0..CONNECTIONS)
        .flat_map(|number| exchange(&listener, plain, number))
        .collect();
    let (seen, losses) = watch.finish();
    compare(&ends, &seen).assert(test, &losses);
}

#[test]
fn multipath_at_both_ends() {
    let test = "multipath_at_both_ends";
    let Some(listener) = or_skip(test, multipath_listener()) else {
        return;
    };
    let Some(watch) = or_skip(test, Watch::start()) else {
        return;
    };
    let ends: Vec<End> = (0..CONNECTIONS)
        .flat_map(|number| exchange(&listener, multipath, number))
        .collect();
    let (seen, losses) = watch.finish();
    assert_eq!(losses, [], "{test}");
    for end in ends {
        let connection = seen.find(end.local, end.remote).unwrap();
        assert_eq!(
            connection.protocol(),
            Carries::Multipath,
            "{test}: {connection:?}"
        );
        assert!(
            connection.halves.iter().all(|half| half.frames.is_empty()),
            "{test}: {connection:?}"
        );
    }
}
