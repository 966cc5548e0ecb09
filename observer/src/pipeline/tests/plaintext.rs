//! Connections seen in plaintext, beside the encrypted ones of their sockets.

use observer_ebpf::plaintext::{PLAINTEXT, UNTIED};

use super::*;

const SOCKET: u64 = 7;
const INSIDE: u64 = SOCKET | PLAINTEXT;

/// The gauge of connections that are hidden, and that of those with calls.
fn expect_connections(bench: &Bench, tls: u32, grpc: u32) {
    bench.expect(&format!("marty_observer_connections{{protocol=\"tls\"}} {tls}"));
    bench.expect(&format!("marty_observer_connections{{protocol=\"grpc\"}} {grpc}"));
}

#[test]
fn what_is_seen_in_plaintext_is_not_hidden() {
    let mut bench = Bench::new(false, 100);
    bench.open(SOCKET, Protocol::Tls);
    expect_connections(&bench, 1, 0);
    bench.sequence = [0; 2];
    bench.open(INSIDE, Protocol::Http2);
    bench.call(INSIDE, "0");
    expect_connections(&bench, 0, 1);
    bench.expect("marty_grpc_requests_total{service=\"svc\",method=\"/p.S/M\",status=\"OK\"} 1");
}

/// Calls that were under way end, a little later, when the socket did.
#[test]
fn it_ends_with_its_socket() {
    let mut bench = Bench::new(false, 100);
    bench.open(SOCKET, Protocol::Tls);
    bench.sequence = [0; 2];
    bench.open(INSIDE, Protocol::Http2);
    bench.call(INSIDE, "0");
    bench.stream += 2;
    let request = [
        (":method", "POST"),
        (":path", "/p.S/M"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    bench.headers(INSIDE, Direction::Ingress, 0, &request);
    bench.gone(SOCKET);
    bench.sweep();
    bench.expect("marty_grpc_requests_in_flight{service=\"svc\",method=\"/p.S/M\"} 1");
    bench.sweep();
    bench.expect("marty_grpc_requests_in_flight{service=\"svc\",method=\"/p.S/M\"} 0");
    bench.expect("marty_grpc_requests_total{service=\"svc\",method=\"/p.S/M\",status=\"UNAVAILABLE\"} 1");
    expect_connections(&bench, 0, 0);
    bench.expect("marty_observer_connections_held 0");
}

/// The program reads its answer after its socket has ended.
#[test]
fn what_is_read_after_the_end_counts() {
    let mut bench = Bench::new(false, 100);
    bench.open(SOCKET, Protocol::Tls);
    bench.sequence = [0; 2];
    bench.open(INSIDE, Protocol::Http2);
    let socket_is_gone = Record {
        frame_type: Close::Gone as u8,
        sequence: 0,
        ..bench.record(SOCKET, Kind::Closed, Direction::Ingress, &[])
    };
    bench.sequence = [1, 0];
    bench.pipeline.on_record(&socket_is_gone, &[]);
    bench.call(INSIDE, "0");
    bench.sweep();
    bench.sweep();
    bench.expect("marty_grpc_requests_total{service=\"svc\",method=\"/p.S/M\",status=\"OK\"} 1");
}

/// The same of a socket that is older than the observer, of which nothing else is known.
#[test]
fn what_is_read_after_the_end_of_an_older_socket_counts() {
    let mut bench = Bench::new(false, 100);
    bench.open(INSIDE, Protocol::Http2);
    let sequence = bench.sequence;
    let socket_is_gone = Record {
        frame_type: Close::Gone as u8,
        sequence: 0,
        ..bench.record(INSIDE, Kind::Closed, Direction::Ingress, &[])
    };
    bench.sequence = sequence;
    bench.pipeline.on_record(&socket_is_gone, &[]);
    bench.call(INSIDE, "0");
    bench.sweep();
    bench.expect("marty_grpc_requests_total{service=\"svc\",method=\"/p.S/M\",status=\"OK\"} 1");
    expect_connections(&bench, 0, 1);
    bench.sweep();
    expect_connections(&bench, 0, 0);
}

/// The same where the ring was full.
#[test]
fn an_end_outside_of_the_ring_leaves_time_to_read_too() {
    let mut bench = Bench::new(false, 100);
    bench.open(INSIDE, Protocol::Http2);
    bench.pipeline.end(INSIDE);
    bench.call(INSIDE, "0");
    bench.sweep();
    expect_connections(&bench, 0, 1);
    bench.sweep();
    expect_connections(&bench, 0, 0);
    bench.expect("marty_grpc_requests_total{service=\"svc\",method=\"/p.S/M\",status=\"OK\"} 1");
}

/// Its process has ended, and nobody else could tell.
#[test]
fn one_without_a_socket_ends_when_told() {
    let mut bench = Bench::new(false, 100);
    bench.open(INSIDE | UNTIED, Protocol::Http2);
    bench.call(INSIDE | UNTIED, "0");
    expect_connections(&bench, 0, 1);
    bench.pipeline.end(INSIDE | UNTIED);
    expect_connections(&bench, 0, 0);
}
