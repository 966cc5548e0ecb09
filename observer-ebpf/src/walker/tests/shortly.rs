//! The short way tells what the long way tells, and leaves the walk as the long way leaves it.

use std::vec::Vec;

use proptest::prelude::*;

use super::wire;
use super::*;
use crate::record::{PING, WINDOW_UPDATE};

/// Bytes of both directions, each with how long after the bytes before they were seen.
type Pieces = Vec<(Direction, Vec<u8>, u64)>;

fn walk(short: bool, pieces: &Pieces, requests: u8) -> Connection {
    let mut connection = Connection::from_start();
    connection.short = short;
    // Where the preface was long ago.
    connection.shared.protocol = Protocol::Http2 as u8;
    connection.shared.requests = requests;
    for walk in &mut connection.walks {
        walk.phase = phase::HEAD;
    }
    let mut at = [0; 2];
    for (direction, bytes, later) in pieces {
        connection.time += later;
        connection.segment(*direction, at[*direction as usize], bytes);
        at[*direction as usize] += bytes.len();
    }
    connection
}

/// Frames, cut anywhere, with some bytes changed.
fn pieces() -> impl Strategy<Value = Pieces> {
    let direction = prop_oneof![Just(Direction::Ingress), Just(Direction::Egress)];
    let changed = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ];
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..12);
    let later = prop_oneof![3 => Just(1u64), 1 => 0u64..MAX_DATA_AGE];
    let stretch = (direction, wire::frames(), changed, cuts, later).prop_map(
        |(direction, frames, changed, cuts, later)| {
            let mut bytes = wire::bytes(&frames);
            for (place, value) in changed {
                if !bytes.is_empty() {
                    *place.get_mut(&mut bytes) = value;
                }
            }
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            ends.push(bytes.len());
            ends.sort_unstable();
            let mut start = 0;
            let mut pieces = Vec::new();
            for end in ends {
                pieces.push((direction, bytes[start..end].to_vec(), later));
                start = end;
            }
            pieces
        },
    );
    prop::collection::vec(stretch, 1..6).prop_map(|stretches| stretches.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_long_way_tells_the_same(pieces in pieces(), requests in 0u8..3) {
        let [short, long] = [true, false].map(|short| walk(short, &pieces, requests));
        prop_assert_eq!(&short.told, &long.told);
        prop_assert_eq!(short.shared, long.shared);
        for (short, long) in short.walks.iter().zip(&long.walks) {
            // What a frame in the middle of which the walk is not has left behind is of no meaning.
            let meant = |walk: &Walk| match walk.phase {
                phase::PAYLOAD => *walk,
                _ => Walk { length: 0, stream: 0, deliver: 0, offset: 0, frame_type: 0, flags: 0, ..*walk },
            };
            prop_assert_eq!(meant(short), meant(long));
        }
    }
}

/// That the short way is gone at all.
#[test]
fn a_call_goes_the_short_way() {
    let frames = [
        wire::Frame::new(WINDOW_UPDATE, 0, 0, 4),
        wire::Frame::new(PING, 0, 0, 8),
        wire::Frame::new(HEADERS, END_HEADERS, 1, 90),
        wire::Frame::new(DATA, 0, 1, 21),
        wire::Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, 20),
    ];
    let bytes = wire::bytes(&frames);
    let mut connection = walk(true, &Vec::new(), Direction::Egress as u8 + 1);
    let source = slice::Slice {
        start: START,
        time: 1,
        bytes: &bytes,
    };
    connection.short_way(Direction::Ingress, &source);
    let walk = &connection.walks[Direction::Ingress as usize];
    assert_eq!(walk.next, source.end());
    assert_eq!(
        connection.told[Direction::Ingress as usize],
        wire::model(&frames, false)
    );
}
