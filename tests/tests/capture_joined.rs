//! Connections that are older than the observer: capture begins within the next few frames, and then misses none.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use observer_ebpf::record::Direction;
use tests::capture::exchange::{Ends, Exchange};
use tests::capture::seen::{Connection, Seen};
use tests::capture::tap::{End, Mark};
use tests::capture::watch::Watch;
use tests::capture::wire::{Frame, Recording};
use tests::prerequisite::or_skip;

/// Told frames that may pass in one direction, after the attachment, before its capture begins. The evidence is
/// three chained frame heads, of which the untold ones (DATA, `WINDOW_UPDATE`) are not counted here.
const MAX_FRAMES_BEFORE: usize = 12;

fn check(test: &str, exchange: Exchange) {
    let ends = Ends::loopback("127.0.0.1".parse().unwrap());
    let progress = exchange.progress.clone();
    let running = std::thread::spawn(move || exchange.run(&ends).unwrap());
    progress.wait(100);
    let watch = or_skip(test, Watch::start());
    let marks = progress.marks();
    progress.wait(2000);
    progress.stop();
    let recorded = running.join().unwrap();
    let Some(watch) = watch else { return };
    let (seen, losses) = watch.finish();
    assert_eq!(losses, [], "{test}");
    let most = recorded.iter().map(|end| joined(end, &marks, &seen)).max();
    println!(
        "{test}: {} ends, at most {most:?} frames before capture began",
        recorded.len()
    );
}

/// Asserts that what was seen of this end is all of it from some frame on; returns how many passed before.
fn joined(end: &End, marks: &[Mark], seen: &Seen) -> usize {
    let connection = seen
        .find(end.local, end.remote)
        .unwrap_or_else(|| panic!("unknown: {end:?}"));
    assert!(connection.sockets.iter().all(|socket| socket.joined == 1));
    let sent = |local, remote| {
        marks
            .iter()
            .find(|mark| (mark.local, mark.remote) == (local, remote))
            .unwrap()
            .sent
    };
    let egress = before(
        connection,
        Direction::Egress,
        &end.sent,
        sent(end.local, end.remote),
    );
    // Not what had been received by then: much more may have waited in the socket, past the programs.
    egress.max(before(
        connection,
        Direction::Ingress,
        &end.received,
        sent(end.remote, end.local),
    ))
}

fn before(connection: &Connection, direction: Direction, recorded: &Recording, attached_at: usize) -> usize {
    let half = &connection.halves[direction as usize];
    assert!(
        half.gaps.is_empty() && half.missing == 0 && half.faults.is_empty(),
        "{direction:?}: {half:?}"
    );
    let first = recorded.frames.len() - half.frames.len();
    let differs = |at: &usize| -> bool { recorded.frames[first + at] != half.frames[*at] };
    let difference = (0..half.frames.len()).find(differs);
    let shown: Option<(&Frame, &Frame)> =
        difference.map(|at| (&recorded.frames[first + at], &half.frames[at]));
    assert!(shown.is_none(), "{direction:?}, frame {difference:?}: {shown:?}");
    let passed = first.saturating_sub(attached_at);
    assert!(
        passed <= MAX_FRAMES_BEFORE,
        "{direction:?}: {passed} frames passed before capture began"
    );
    passed
}

#[test]
fn joined_one_stream() {
    let exchange = Exchange {
        connections: 4,
        calls: usize::MAX,
        blocks: vec![0, 30, 200],
        ..Exchange::default()
    };
    check("joined_one_stream", exchange);
}

#[test]
fn joined_many_streams() {
    check(
        "joined_many_streams",
        Exchange {
            connections: 3,
            lanes: 50,
            calls: usize::MAX,
            bodies: vec![0, 16, 1000, 20_000],
            blocks: vec![0, 20, 50, 300, 3000],
            cancel_each: 13,
            ..Exchange::default()
        },
    );
}

#[test]
fn joined_large_bodies() {
    let exchange = Exchange {
        connections: 2,
        lanes: 3,
        calls: usize::MAX,
        bodies: vec![0, 100_000, 1 << 20],
        ..Exchange::default()
    };
    check("joined_large_bodies", exchange);
}
