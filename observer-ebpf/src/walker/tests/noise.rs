//! Whatever is not HTTP/2 never becomes it, seen from the start or joined in the middle; and no bytes at all make
//! the walker panic or run on.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::wire;
use super::*;

/// Feeds both directions of a connection that is not HTTP/2, in segments. `joined`: how much of each was missed.
fn walk(joined: Option<usize>, pieces: &[(Direction, Vec<u8>)]) -> Connection {
    let from = |position| {
        if joined.is_some() {
            Walk::joined(position)
        } else {
            Walk::from_start(position)
        }
    };
    let mut connection = Connection::new([from(START), from(START)], joined.is_some());
    let mut at = [0; 2];
    for (direction, bytes) in pieces {
        let bytes = &bytes[joined.unwrap_or(0).min(bytes.len())..];
        connection.segment(*direction, at[*direction as usize], bytes);
        at[*direction as usize] += bytes.len();
    }
    connection
}

fn check(joined: Option<usize>, pieces: &[(Direction, Vec<u8>)]) -> Result<(), TestCaseError> {
    let connection = walk(joined, pieces);
    prop_assert_ne!(connection.protocol(), Protocol::Http2);
    prop_assert_eq!(connection.told, [Vec::new(), Vec::new()]);
    Ok(())
}

/// The shapes of other protocols' messages; what is inside is any bytes, or many zeros and small numbers.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let small = prop_oneof![6 => Just(0u8), 2 => 0u8..10, 1 => any::<u8>()];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(small, 0..300),
        prop::collection::vec(32u8..127, 0..500),
    ]
}

fn framed(mut head: Vec<u8>, length: &[u8], body: Vec<u8>) -> Vec<u8> {
    head.extend(length);
    head.extend(body);
    head
}

fn tls() -> BoxedStrategy<Vec<u8>> {
    (0x14u8..0x18, 1u8..4, body())
        .prop_map(|(kind, minor, body)| {
            let length = (body.len() as u16).to_be_bytes();
            framed(vec![kind, 3, minor], &length, body)
        })
        .boxed()
}

fn http1() -> BoxedStrategy<Vec<u8>> {
    let line = prop::sample::select(vec![
        &b"GET /index HTTP/1.1\r\nHost: example\r\n\r\n"[..],
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\n\r\n",
    ]);
    (line, body())
        .prop_map(|(line, body)| framed(line.to_vec(), &[], body))
        .boxed()
}

/// `+OK`, `$5\r\nhello`, `*2`, `:1`.
fn redis() -> BoxedStrategy<Vec<u8>> {
    (prop::sample::select(&b"+$*:-"[..]), 0u32..100_000, body())
        .prop_map(|(kind, number, body)| {
            let mut bytes = vec![kind];
            bytes.extend(std::format!("{number}\r\n").into_bytes());
            bytes.extend(body);
            bytes.extend(b"\r\n");
            bytes
        })
        .boxed()
}

/// A letter and four bytes of length; rows of length-prefixed columns.
fn postgresql() -> BoxedStrategy<Vec<u8>> {
    let column = prop_oneof![
        prop::collection::vec(any::<u8>(), 4),
        Just(vec![0; 4]),
        Just(vec![0; 8]),
        (0u8..5).prop_map(|byte| vec![0, 0, 0, byte]),
    ];
    (
        prop::sample::select(&b"QDCZTSR"[..]),
        prop::collection::vec(column, 0..50),
    )
        .prop_map(|(kind, columns)| {
            let mut body = (columns.len() as u16).to_be_bytes().to_vec();
            for column in columns {
                body.extend((column.len() as u32).to_be_bytes());
                body.extend(column);
            }
            framed(vec![kind], &(body.len() as u32 + 4).to_be_bytes(), body)
        })
        .boxed()
}

/// Four bytes of length, a small key, a small version, a correlation number.
fn kafka() -> BoxedStrategy<Vec<u8>> {
    (0u8..70, 0u8..12, 0u32..1000, body())
        .prop_map(|(key, version, correlation, body)| {
            let length = (body.len() as u32 + 8).to_be_bytes();
            let mut rest = vec![0, key, 0, version];
            rest.extend(correlation.to_be_bytes());
            rest.extend(body);
            framed(Vec::new(), &length, rest)
        })
        .boxed()
}

/// Three bytes of length from the smallest, a number, a command.
fn mysql() -> BoxedStrategy<Vec<u8>> {
    (0u8..4, body())
        .prop_map(|(number, body)| {
            let length = (body.len() as u32).to_le_bytes();
            framed(vec![length[0], length[1], length[2], number], &[], body)
        })
        .boxed()
}

/// Numbers that count up, in either byte order: the runs of zeros that look most like frame heads.
fn numbers() -> BoxedStrategy<Vec<u8>> {
    (any::<bool>(), 1usize..9, 0u64..5000, 1u64..5)
        .prop_map(|(little, width, from, step)| {
            (0..100)
                .flat_map(|index| {
                    let number = from + index * step;
                    let bytes = if little {
                        number.to_le_bytes()
                    } else {
                        number.to_be_bytes()
                    };
                    let skip = if little { 0 } else { 8 - width };
                    bytes.into_iter().skip(skip).take(width)
                })
                .collect()
        })
        .boxed()
}

fn conversation() -> impl Strategy<Value = Vec<(Direction, Vec<u8>)>> {
    let direction = prop_oneof![Just(Direction::Ingress), Just(Direction::Egress)];
    prop_oneof![
        Just(tls()),
        Just(http1()),
        Just(redis()),
        Just(postgresql()),
        Just(kafka()),
        Just(mysql()),
        Just(numbers()),
        Just(body().boxed()),
    ]
    .prop_flat_map(move |message| prop::collection::vec((direction.clone(), message), 1..60))
}

/// What a server of HTTP/2 says first. Few of any bytes may be just that.
fn is_settings(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, length, 4, _, 0, 0, 0, 0, ..] if length % 6 == 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn other_protocols_from_the_start(pieces in conversation()) {
        prop_assume!(!pieces.iter().any(|(_, bytes)| is_settings(bytes)));
        check(None, &pieces)?;
    }

    #[test]
    fn other_protocols_joined_in_the_middle(missed in 0usize..40, pieces in conversation()) {
        check(Some(missed), &pieces)?;
    }

    /// Real frames damaged in a few places: neither panic nor run on, whatever is told.
    #[test]
    fn damaged_http2(
        frames in wire::frames(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        joined in any::<bool>(),
    ) {
        let mut bytes = if joined { Vec::new() } else { PREFACE.to_vec() };
        bytes.extend(wire::bytes(&wire::opened(frames)));
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let walk = if joined { Walk::joined(START) } else { Walk::from_start(START) };
        let mut connection = Connection::new([walk, walk], joined);
        connection.feed(Direction::Ingress, 0, &bytes, &cuts);
    }

    /// Any state of the walk, as memory may hold it, and any bytes.
    #[test]
    fn any_state_and_any_bytes(
        (phase, held, score, control) in (0u8..13, 0u8..9, any::<u8>(), any::<u8>()),
        (protocol, settled_joined, requests) in (0u8..5, 0u8..2, 0u8..3),
        bytes in body(),
    ) {
        let mut connection = Connection::from_start();
        let walk = &mut connection.walks[0];
        *walk = Walk { phase, held, score, control, next: START, trial: START, ..Walk::default() };
        connection.shared = Shared { protocol, settled: 0, joined: settled_joined, requests };
        if phase != phase::PAYLOAD && phase != phase::NEW {
            connection.segment(Direction::Ingress, 0, &bytes);
        }
    }
}

/// Long random streams, joined: after so many segments the connection is given up, as nothing.
#[test]
fn random_streams_are_given_up() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20 {
        let mut connection = Connection::new([Walk::joined(START), Walk::joined(START)], true);
        let mut segments = 0;
        while connection.shared.settled == 0 {
            let mut bytes = Vec::with_capacity(1448);
            while bytes.len() < 1448 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                bytes.extend(random.to_le_bytes());
            }
            connection.segment(Direction::Ingress, segments * bytes.len(), &bytes);
            segments += 1;
            // One in a million random heads passes for DATA, of 1 MiB at most, and then a trial takes so much.
            assert!(
                segments <= 3 * usize::from(MAX_ATTEMPTS),
                "{:?}",
                connection.walks[0]
            );
        }
        assert_eq!(connection.protocols, vec![Protocol::Other]);
    }
}

/// Of a joined connection: after how many segments it is given up, and as what, if these of them begin like TLS.
fn given_up(is_tls: impl Fn(usize) -> bool) -> (usize, Vec<Protocol>) {
    let mut connection = Connection::new([Walk::joined(START), Walk::joined(START)], true);
    let mut segments = 0;
    while connection.shared.settled == 0 && segments <= usize::from(MAX_ATTEMPTS) {
        let mut bytes = vec![0xff; 100];
        if is_tls(segments) {
            bytes[..5].copy_from_slice(&[0x17, 3, 3, 0, 95]);
        }
        connection.segment(Direction::Ingress, segments * bytes.len(), &bytes);
        segments += 1;
    }
    (segments, connection.protocols)
}

#[test]
fn tls_joined_in_the_middle() {
    assert_eq!(given_up(|_| true), (8, vec![Protocol::Tls]));
    assert_eq!(given_up(|segment| segment % 10 == 0), (21, vec![Protocol::Tls]));
    // By chance.
    let twice = |segment| segment == 20 || segment == 30;
    assert_eq!(
        given_up(twice),
        (usize::from(MAX_ATTEMPTS), vec![Protocol::Other])
    );
}
