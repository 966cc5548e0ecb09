//! Any bytes in both directions, cut anywhere, through the kernel's walker: calls that start end once, and the
//! place of the cuts does not matter to a connection seen from its beginning.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use observer::session::{CallEvent, Session};
use observer_ebpf::record::Direction;
use wire::Tap;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn events(data: &[u8], joined: bool, most: usize) -> Vec<CallEvent> {
    let mut tap = if joined { Tap::joined() } else { Tap::from_start() };
    let mut session = Session::new(joined);
    let mut events = Vec::new();
    let mut at = [0_u32; 2];
    let mut feed = |direction: Direction, bytes: &[u8], time: u64| {
        for piece in bytes.chunks(most) {
            for (record, payload) in tap.segment(direction, at[direction as usize], piece, time) {
                session.on_record(&record, &payload, &mut events);
            }
            at[direction as usize] += piece.len() as u32;
        }
    };
    if !joined {
        feed(Direction::Ingress, PREFACE, 0);
    }
    let mut rest = data;
    let mut time = 0;
    while let Some((&length, after)) = rest.split_first() {
        let (bytes, after) = after.split_at(usize::from(length >> 1).min(after.len()));
        rest = after;
        time += 1;
        feed(Direction::from_raw(length & 1), bytes, time);
    }
    session.end(time, &mut events);
    assert_eq!(session.open_streams(), 0);
    assert!(session.memory() < 2 << 20);
    events
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let joined = first & 1 == 1;
    let whole = events(data, joined, usize::MAX);
    let mut open = HashSet::new();
    for event in &whole {
        match event {
            CallEvent::Started { stream, .. } => assert!(open.insert(*stream)),
            CallEvent::Ended(ended) if ended.started.is_some() => assert!(open.remove(&ended.stream)),
            _ => {}
        }
    }
    assert!(open.is_empty());
    events(data, joined, 1 + usize::from(first >> 4));
});
