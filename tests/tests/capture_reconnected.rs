//! Sockets that connect more than once: nothing of an earlier connection is taken for one of the next.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, connect, connect_unspec, socket};
use tests::capture::comparison::compare;
use tests::capture::script::{converse, http2};
use tests::capture::tap::End;
use tests::capture::watch::Watch;
use tests::prerequisite::or_skip;

const CALLS: u32 = 40;
/// Sockets of each kind.
const EACH: u64 = 6;

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What the client and its socket were used for before.
type Before = fn(OwnedFd, u64) -> OwnedFd;

/// A connection of HTTP/2 by a socket that was used before; what the two ends saw of it.
fn exchange(before: Before, number: u64) -> Vec<End> {
    let (listener, address) = listen();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        converse(stream, &http2(false, CALLS, number), 0, 700).unwrap()
    });
    let new = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let used = before(new, number);
    connect(&used, &address).unwrap();
    let client = converse(used.into(), &http2(true, CALLS, number), 0, 1100).unwrap();
    vec![client, server.join().unwrap()]
}

fn check(test: &str, before: Before) {
    let Some(watch) = or_skip(test, Watch::start()) else {
        return;
    };
    let ends: Vec<End> = (0..EACH).flat_map(|number| exchange(before, number)).collect();
    let (seen, losses) = watch.finish();
    compare(&ends, &seen).assert(test, &losses);
}

/// One connection with these bytes there and back, and the socket is disconnected behind it.
fn talked(socket: OwnedFd, there: &[u8], back: &[u8]) -> OwnedFd {
    let (listener, address) = listen();
    connect(&socket, &address).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut client = TcpStream::from(socket);
    client.write_all(there).unwrap();
    server.read_exact(&mut vec![0; there.len()]).unwrap();
    server.write_all(back).unwrap();
    client.read_exact(&mut vec![0; back.len()]).unwrap();
    let socket = client.into();
    connect_unspec(&socket).unwrap();
    socket
}

#[test]
fn after_a_refusal() {
    check("after_a_refusal", |socket, _| {
        let (listener, address) = listen();
        drop(listener);
        connect(&socket, &address).unwrap_err();
        socket
    });
}

#[test]
fn after_tls() {
    check("after_tls", |socket, _| {
        talked(
            socket,
            &[22, 3, 1, 0, 5, 1, 2, 3, 4, 5],
            &[22, 3, 3, 0, 5, 1, 2, 3, 4, 5],
        )
    });
}

#[test]
fn after_http1() {
    check("after_http1", |socket, _| {
        talked(socket, b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
    });
}

/// Within a frame on both sides, so that the next bytes would be its payload.
#[test]
fn after_http2() {
    check("after_http2", |socket, number| {
        let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 5].to_vec();
        let (there, back) = (cut(http2(true, 3, number)), cut(http2(false, 3, number)));
        talked(socket, &there, &back)
    });
}
