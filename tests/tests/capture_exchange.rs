//! Every header frame that the applications sent and received, byte for byte: over loopback and between two
//! network namespaces, IPv4 and IPv6.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::IpAddr;

use tests::capture::comparison::compare;
use tests::capture::exchange::{Ends, Exchange, is_available};
use tests::capture::watch::Watch;
use tests::namespace::{Pair, SERVER};
use tests::prerequisite::or_skip;
use tests::skip::skipped;

/// Runs the exchange under the programs and compares both ends of every connection with the ring.
fn check(test: &str, ends: &Ends, exchange: &Exchange) {
    let Some(watch) = or_skip(test, Watch::start()) else {
        return;
    };
    let recorded = exchange.run(ends).unwrap();
    let (seen, losses) = watch.finish();
    compare(&recorded, &seen).assert(test, &losses);
}

fn loopback(test: &str, address: &str, exchange: &Exchange) {
    let address: IpAddr = address.parse().unwrap();
    if let Err(error) = is_available(address) {
        return skipped(test, &format!("{address}: {error}"));
    }
    check(test, &Ends::loopback(address), exchange);
}

fn veth(test: &str, address: &str, exchange: &Exchange) {
    let Some(pair) = or_skip(test, Pair::new()) else {
        return;
    };
    let ends = Ends {
        client: pair.client(),
        server: pair.server(),
        address: address.parse().unwrap(),
    };
    check(test, &ends, exchange);
}

fn few_streams() -> Exchange {
    Exchange {
        lanes: 1,
        calls: 40,
        bodies: vec![0, 1, 100, 5000, 70_000],
        blocks: vec![0, 20, 500, 5000, 60 << 10],
        ..Exchange::default()
    }
}

fn many_streams() -> Exchange {
    Exchange {
        connections: 3,
        lanes: 100,
        calls: 10,
        bodies: vec![0, 16, 1000, 20_000],
        blocks: vec![0, 0, 20, 20, 30, 50, 80, 200, 1000, 3000, 20_000],
        cancel_each: 9,
        seed: 7,
        ..Exchange::default()
    }
}

fn large_bodies() -> Exchange {
    Exchange {
        connections: 2,
        lanes: 4,
        calls: 3,
        bodies: vec![0, 1 << 20, 8 << 20],
        ..Exchange::default()
    }
}

#[test]
fn few_streams_loopback_ipv4() {
    loopback("few_streams_loopback_ipv4", "127.0.0.1", &few_streams());
}

#[test]
fn few_streams_loopback_ipv6() {
    loopback("few_streams_loopback_ipv6", "::1", &few_streams());
}

#[test]
fn many_streams_loopback_ipv4() {
    loopback("many_streams_loopback_ipv4", "127.0.0.1", &many_streams());
}

#[test]
fn many_streams_loopback_ipv6() {
    loopback("many_streams_loopback_ipv6", "::1", &many_streams());
}

#[test]
fn large_bodies_loopback() {
    loopback("large_bodies_loopback", "127.0.0.1", &large_bodies());
}

#[test]
fn few_streams_veth_ipv4() {
    veth("few_streams_veth_ipv4", SERVER[0], &few_streams());
}

#[test]
fn few_streams_veth_ipv6() {
    veth("few_streams_veth_ipv6", SERVER[1], &few_streams());
}

#[test]
fn many_streams_veth_ipv4() {
    veth("many_streams_veth_ipv4", SERVER[0], &many_streams());
}

#[test]
fn many_streams_veth_ipv6() {
    veth("many_streams_veth_ipv6", SERVER[1], &many_streams());
}

#[test]
fn large_bodies_veth() {
    veth("large_bodies_veth", SERVER[1], &large_bodies());
}
