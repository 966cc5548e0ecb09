//! Joined in the middle, or after the place was lost: real traffic is found again soon, and nothing false is told.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::wire::{self, Frame};
use super::*;

/// Everything in one `write` of a peer: a segment, or several where it is longer.
type Write = Vec<Frame>;

/// What a gRPC server receives: calls, some with bodies, and what keeps connections alive.
fn client() -> impl Strategy<Value = Vec<Write>> {
    let call =
        (0u32..500, 10usize..200, 5usize..3000, any::<bool>()).prop_map(|(id, headers, body, apart)| {
            let stream = id * 2 + 1;
            let headers = Frame::new(HEADERS, END_HEADERS, stream, headers);
            let body = Frame::new(DATA, END_STREAM, stream, body);
            if apart {
                vec![vec![headers], vec![body]]
            } else {
                vec![vec![headers, body]]
            }
        });
    let ping = (0u8..2).prop_map(|ack| vec![vec![Frame::new(6, ack, 0, 8)]]);
    let update =
        (0u32..500).prop_map(|id| vec![vec![Frame::new(8, 0, 0, 4), Frame::new(8, 0, id * 2 + 1, 4)]]);
    prop::collection::vec(prop_oneof![4 => call, 1 => ping, 1 => update], 20..60)
        .prop_map(|groups| groups.concat())
}

/// Frames in the middle of which the model begins: a count of DATA may be less than the model's, once.
fn check_told(told: &[Told], expected: &[Told]) {
    let strip = |told: &[Told]| {
        told.iter()
            .filter_map(|told| match told {
                Told::Frame {
                    frame_type,
                    flags,
                    stream,
                    payload,
                    ..
                } => Some((*frame_type, *flags, *stream, payload.clone())),
                Told::Data { .. } => None,
                Told::Gap(loss) => panic!("{loss:?}"),
            })
            .collect::<Vec<_>>()
    };
    let (told, expected) = (strip(told), strip(expected));
    assert!(expected.ends_with(&told), "told {told:?} of {expected:?}");
}

/// Segments of at most `most` bytes; a write begins a segment of its own.
fn segments(writes: &[Write], most: usize) -> Vec<Vec<u8>> {
    writes
        .iter()
        .flat_map(|write| {
            wire::bytes(write)
                .chunks(most)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Joins before segment `skip`; returns how many frames passed until the connection was HTTP/2.
fn join(writes: &[Write], skip: usize, most: usize) -> usize {
    let segments = segments(writes, most);
    let mut connection = Connection::new([Walk::joined(START), Walk::joined(START)], true);
    let mut at = 0;
    for segment in &segments[skip.min(segments.len() - 1)..] {
        connection.segment(Direction::Ingress, at, segment);
        at += segment.len();
    }
    let frames: Vec<Frame> = writes.concat();
    let expected = wire::model(&frames, false);
    let told = &connection.told[Direction::Ingress as usize];
    check_told(told, &expected);
    assert_eq!(
        connection.protocol(),
        Protocol::Http2,
        "not found in {} segments: {:?}",
        segments.len() - skip,
        connection.walks[0]
    );
    expected.len() - told.len()
}

fn upload(skip: usize, most: usize, stream: u32) {
    let mut write: Write = (0..1200).map(|_| Frame::new(DATA, 0, stream, 16_384)).collect();
    for index in (10..1200).step_by(7) {
        write.insert(index, Frame::new(6, ACK, 0, 8));
    }
    write.push(Frame::new(HEADERS, END_HEADERS, stream + 2, 30));
    join(&[write], skip, most);
}

/// One segment of it begins like a record of TLS.
#[test]
fn a_body_that_looks_like_tls_once() {
    upload(35, 5511, 93);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn calls_are_found_within_few_frames(writes in client(), skip in 0usize..20) {
        // Frames of the writes before, and those that a walk needs to be convinced.
        let before: usize = writes.iter().take(skip).map(Vec::len).sum();
        let missed = join(&writes, skip, 65_000);
        prop_assert!(missed <= before + 4, "{} frames missed, {} before", missed, before);
    }

    /// The same in segments of an Ethernet, so that bodies are cut.
    #[test]
    fn calls_in_small_segments(writes in client(), skip in 0usize..20) {
        join(&writes, skip, 1448);
    }

    /// A long upload whose segments never begin with a frame, joined in the middle.
    #[test]
    fn long_body_in_odd_segments(skip in 1usize..60, most in 1400usize..9000, stream in 0u32..100) {
        upload(skip, most, stream * 2 + 1);
    }

    /// A place that was lost is found again, and what is told between is nothing false.
    #[test]
    fn found_again_after_a_loss(writes in client(), lost in 5usize..15) {
        let mut connection = Connection::from_start();
        connection.segment(Direction::Ingress, 0, &PREFACE);
        let mut at = PREFACE.len();
        for (index, segment) in segments(&writes, 65_000).iter().enumerate() {
            if index == lost {
                let next = START.wrapping_add((at + segment.len()) as u32);
                connection.walks[0].lose(next);
                connection.told[0].clear();
            } else {
                connection.segment(Direction::Ingress, at, segment);
            }
            at += segment.len();
        }
        check_told(&connection.told[0], &wire::model(&writes.concat(), true));
        prop_assert!(connection.walks[0].in_frames());
    }
}

/// A body that is HTTP/2 itself (a tunnel, an upload of a capture), in writes of its own; how many of the frames that are
/// not of the connection were told, if what came before segment `skip` was not seen.
fn told_of_a_tunnel(skip: usize) -> usize {
    let inner: Vec<Write> = (0..40)
        .map(|call| {
            vec![
                Frame::new(HEADERS, END_HEADERS, call * 2 + 1, 40),
                Frame::new(DATA, END_STREAM, call * 2 + 1, 90),
            ]
        })
        .collect();
    let length = inner.iter().map(|write| wire::bytes(write).len()).sum();
    let mut head = Vec::new();
    Frame::new(HEADERS, END_HEADERS, 1, 30).write(&mut head);
    head.extend(&wire::bytes(&[Frame::new(DATA, END_STREAM, 1, length)])[..9]);
    let (mut connection, mut at) = (Connection::from_start(), PREFACE.len());
    if skip == 0 {
        connection.segment(Direction::Ingress, 0, &PREFACE);
    } else {
        connection = Connection::new([Walk::joined(START), Walk::joined(START)], true);
    }
    for (index, segment) in std::iter::once(head)
        .chain(inner.iter().map(|write| wire::bytes(write)))
        .enumerate()
    {
        if index >= skip {
            connection.segment(Direction::Ingress, at, &segment);
        }
        at += segment.len();
    }
    let told = &connection.told[Direction::Ingress as usize];
    let of_the_tunnel = |told: &&Told| matches!(told, Told::Frame { length: 40, .. });
    told.iter().filter(of_the_tunnel).count()
}

/// Seen from its beginning, a body is a body whatever it is made of.
#[test]
fn frames_inside_of_a_body() {
    assert_eq!(told_of_a_tunnel(0), 0);
}

/// Joined in the middle of it, nothing says that these are not the connection's own: what `blind-spots.md` warns of.
#[test]
fn frames_inside_of_a_body_joined_in_its_middle() {
    assert!(told_of_a_tunnel(5) > 0);
}
