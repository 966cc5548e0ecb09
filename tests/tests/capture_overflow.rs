//! A daemon that does not run while connections come and go: the ring overflows, and when the daemon is back it says
//! so, and holds nothing of what has ended meanwhile.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use tests::capture::group::Group;
use tests::observer::{self, Observer};
use tests::prerequisite::or_skip;
use tests::wait;

/// The smallest ring holds some 600 records; every connection makes 20, and each of its two sockets tells its end.
const RING: &str = "64KiB";
const BEFORE: u32 = 20;
const MEANWHILE: usize = 400;
const LIMIT: Duration = Duration::from_secs(30);

/// A frame of stream 1.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
}

/// `POST`, `http`, the path and the content type of gRPC: all literal, so that every connection stands for itself.
fn request(method: &str) -> Vec<u8> {
    let path = format!("/test.Overflow/{method}");
    let mut block = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.bytes());
    block.extend([0x0f, 0x10, 16]);
    block.extend(b"application/grpc");
    let opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    [opening, &*frame(1, 4, &block), &*frame(0, 1, &[0; 5])].concat()
}

fn response() -> Vec<u8> {
    let trailers = [&[0, 11], &b"grpc-status"[..], &[1, b'0']].concat();
    let opening = b"\0\0\0\x04\0\0\0\0\0";
    [
        opening,
        &*frame(1, 4, &[0x88]),
        &*frame(0, 0, &[0; 5]),
        &*frame(1, 5, &trailers),
    ]
    .concat()
}

/// A connection with one call on it, still open.
fn call(listener: &TcpListener, method: &str) -> [TcpStream; 2] {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let (request, response) = (request(method), response());
    client.write_all(&request).unwrap();
    server.read_exact(&mut vec![0; request.len()]).unwrap();
    server.write_all(&response).unwrap();
    client.read_exact(&mut vec![0; response.len()]).unwrap();
    [client, server]
}

/// Open connections that the daemon knows of, but those of the scrapes themselves; calls in flight; records lost.
fn held(observer: &Observer) -> Result<[f64; 4], String> {
    let scrape = observer.scrape().map_err(|error| error.to_string())?;
    let carrying = |protocol| scrape.sum("marty_observer_connections", &[("protocol", protocol)]);
    Ok([
        carrying("grpc") + carrying("http2") + carrying("other"),
        scrape.sum("marty_grpc_active_connections", &[]),
        scrape.sum("marty_grpc_requests_in_flight", &[]),
        scrape.sum("marty_observer_lost_total", &[("reason", "ring_full")]),
    ])
}

/// Waits until what is held is as expected.
fn await_held(observer: &Observer, expected: impl Fn([f64; 4]) -> bool) {
    wait::until(LIMIT, || {
        let held = held(observer)?;
        if expected(held) {
            return Ok(());
        }
        Err(format!("held: {held:?}"))
    })
    .unwrap();
}

#[test]
fn ring_overflows_while_the_daemon_is_stopped() {
    let test = "ring_overflows_while_the_daemon_is_stopped";
    let Some(_) = or_skip(test, observer::prepare()) else {
        return;
    };
    let Some(group) = or_skip(test, Group::enter("overflow")) else {
        return;
    };
    let path = group.path().to_string_lossy().into_owned();
    let observer = Observer::start(&["--cgroup-path", &path, "--ring-bytes", RING]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open: Vec<_> = (0..BEFORE).map(|_| call(&listener, "Before")).collect();
    let sockets = f64::from(2 * BEFORE);
    await_held(&observer, |[open, ..]| (open - sockets).abs() < 0.5);

    observer.process.signal(Signal::STOP).unwrap();
    (0..MEANWHILE).for_each(|_| drop(call(&listener, "Meanwhile")));
    drop(open);
    observer.process.signal(Signal::CONT).unwrap();
    await_held(&observer, |[open, active, in_flight, lost]| {
        open == 0.0 && active == 0.0 && in_flight == 0.0 && lost > 0.0
    });

    drop(call(&listener, "After"));
    wait::until(LIMIT, || {
        let scrape = observer.scrape().map_err(|error| error.to_string())?;
        let labels = [("method", "/test.Overflow/After"), ("status", "OK")];
        match scrape.sum("marty_grpc_requests_total", &labels) {
            1.0 => Ok(()),
            other => Err(format!("{other} calls after it")),
        }
    })
    .unwrap();
    println!("{test}: {:?}", observer.losses().unwrap());
    observer.stop().unwrap();
}
