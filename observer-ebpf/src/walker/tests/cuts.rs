//! Any cutting of any valid stream tells the same as one piece, and that is what the model tells.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::wire::{self, Frame};
use super::*;

const CLIENT: Direction = Direction::Ingress;
const SERVER: Direction = Direction::Egress;

/// What stands before a client's preface.
#[derive(Clone, Debug)]
enum Before {
    Nothing,
    ProxyLine(&'static str),
    ProxyBinary(usize),
    /// HTTP/1.1 that is upgraded.
    Upgrade,
}

fn before() -> impl Strategy<Value = Before> {
    prop_oneof![
        4 => Just(Before::Nothing),
        1 => prop_oneof![
            Just("PROXY UNKNOWN\r\n"),
            Just("PROXY TCP4 10.1.2.3 10.4.5.6 65000 443\r\n"),
            Just("PROXY TCP6 ffff:f...f:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
        ].prop_map(Before::ProxyLine),
        1 => prop_oneof![Just(0usize), Just(12), Just(36), 0usize..1000, Just(65_535)].prop_map(Before::ProxyBinary),
        2 => Just(Before::Upgrade),
    ]
}

const REQUEST: &[u8] =
    b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
    HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

impl Before {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Nothing | Self::Upgrade => Vec::new(),
            Self::ProxyLine(line) => line.as_bytes().to_vec(),
            Self::ProxyBinary(length) => {
                let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
                bytes.extend((*length as u16).to_be_bytes());
                bytes.extend((0..*length).map(|index| index as u8));
                bytes
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Story {
    before: Before,
    client: Vec<Frame>,
    server: Vec<Frame>,
    /// The server's SETTINGS come before the client's first byte.
    server_first: bool,
}

fn story() -> impl Strategy<Value = Story> {
    (before(), wire::frames(), wire::frames(), any::<bool>()).prop_map(|(before, client, server, first)| {
        Story {
            server_first: first && !matches!(before, Before::Upgrade),
            before,
            client: wire::opened(client),
            server: wire::opened(server),
        }
    })
}

/// Bytes with the cuts they are fed in.
type Turn = (Direction, Vec<u8>);

impl Story {
    /// The two directions in turns whose order matters; within a turn, any cutting goes.
    fn turns(&self) -> Vec<Turn> {
        let mut turns = Vec::new();
        let (mut client, mut server) = (self.before.bytes(), Vec::new());
        if matches!(self.before, Before::Upgrade) {
            turns.push((CLIENT, REQUEST.to_vec()));
            server.extend(SWITCHING);
        }
        server.extend(wire::bytes(&self.server[..1]));
        client.extend(PREFACE);
        client.extend(wire::bytes(&self.client));
        if self.server_first || matches!(self.before, Before::Upgrade) {
            turns.push((SERVER, server));
            turns.push((CLIENT, client));
        } else {
            turns.push((CLIENT, client));
            turns.push((SERVER, server));
        }
        turns.push((SERVER, wire::bytes(&self.server[1..])));
        turns
    }

    fn play(&self, cuts: impl Fn(usize) -> Vec<usize>) -> Connection {
        let mut connection = Connection::from_start();
        let mut at = [0; 2];
        for (index, (direction, bytes)) in self.turns().iter().enumerate() {
            connection.feed(*direction, at[*direction as usize], bytes, &cuts(index));
            at[*direction as usize] += bytes.len();
        }
        connection
    }

    fn check(&self, connection: &Connection) {
        assert_eq!(connection.told[CLIENT as usize], wire::model(&self.client, true));
        assert_eq!(connection.told[SERVER as usize], wire::model(&self.server, false));
        assert_eq!(connection.shared.requests, CLIENT as u8 + 1);
        let upgrade = matches!(self.before, Before::Upgrade).then_some(Protocol::Http1);
        let protocols: Vec<_> = upgrade.into_iter().chain([Protocol::Http2]).collect();
        assert_eq!(connection.protocols, protocols);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn one_piece_tells_what_the_model_tells(story in story()) {
        story.check(&story.play(|_| Vec::new()));
    }

    #[test]
    fn any_cutting_tells_the_same(
        story in story(),
        cuts in prop::collection::vec(prop::collection::vec(any::<usize>(), 0..40), 4),
    ) {
        story.check(&story.play(|turn| cuts[turn].clone()));
    }

    /// Cuts near the beginning, where heads, prefaces and PROXY headers are.
    #[test]
    fn early_cuts_tell_the_same(
        story in story(),
        cuts in prop::collection::vec(prop::collection::vec(0usize..120, 0..40), 4),
    ) {
        story.check(&story.play(|turn| cuts[turn].clone()));
    }

    /// Bytes that come again, from anywhere before, change nothing.
    #[test]
    fn retransmitted_bytes_are_told_once(
        frames in wire::frames(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..30),
    ) {
        let frames = wire::opened(frames);
        let mut bytes = PREFACE.to_vec();
        bytes.extend(wire::bytes(&frames));
        let mut connection = Connection::from_start();
        let mut seen = 0;
        for (back, forth) in cuts {
            let start = back.index(seen + 1);
            let end = start + forth.index(bytes.len() + 1 - start);
            connection.segment(CLIENT, start, &bytes[start..end]);
            seen = seen.max(end);
        }
        connection.segment(CLIENT, seen, &bytes[seen..]);
        prop_assert_eq!(&connection.told[CLIENT as usize], &wire::model(&frames, true));
    }
}

#[test]
fn byte_by_byte() {
    let frames = vec![
        Frame::new(HEADERS, 0, 1, 40),
        Frame::new(CONTINUATION, END_HEADERS, 1, 3),
        Frame::new(DATA, 0, 1, 30),
        Frame::new(DATA, END_STREAM, 3, 0),
        Frame::new(SETTINGS, ACK, 0, 0),
        Frame::new(RST_STREAM, 0, 3, 4),
        Frame::new(GOAWAY, 0, 0, 20),
    ];
    for before in [
        Before::Nothing,
        Before::ProxyLine("PROXY UNKNOWN\r\n"),
        Before::ProxyBinary(12),
        Before::Upgrade,
    ] {
        let story = Story {
            before,
            client: wire::opened(frames.clone()),
            server: wire::opened(frames.clone()),
            server_first: false,
        };
        story.check(&story.play(|_| (0..2000).collect()));
    }
}

/// The longest DATA frame that a head can declare, in segments of 64 KiB; none but the first is read.
#[test]
fn longest_data_frame() {
    let most = (1 << 24) - 1;
    let frames = wire::opened(vec![
        Frame::new(DATA, 0, 1, most),
        Frame::new(DATA, 0, 1, most),
        Frame::new(HEADERS, 4, 3, 9),
    ]);
    let mut bytes = PREFACE.to_vec();
    bytes.extend(wire::bytes(&frames));
    let mut connection = Connection::from_start();
    for (index, piece) in bytes.chunks(65_535).enumerate() {
        connection.segment(CLIENT, index * 65_535, piece);
    }
    assert_eq!(connection.told[CLIENT as usize], wire::model(&frames, true));
}

/// The inside of a body may be missing: only what is behind `next` has to be there.
#[test]
fn body_that_was_not_captured() {
    let frames = wire::opened(vec![
        Frame::new(DATA, 0, 1, 100_000),
        Frame::new(HEADERS, 4, 3, 9),
    ]);
    let mut bytes = PREFACE.to_vec();
    bytes.extend(wire::bytes(&frames));
    let mut connection = Connection::from_start();
    connection.segment(CLIENT, 0, &bytes[..1000]);
    connection.segment(CLIENT, 90_000, &bytes[90_000..]);
    assert_eq!(connection.told[CLIENT as usize], wire::model(&frames, true));
}
