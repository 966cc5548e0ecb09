//! Connections as captures show them: in disorder, in part, one after the other.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the lengths are those of packets made here"
)]

use observer_ebpf::record::{DATA, END_HEADERS, END_STREAM, HEADERS, Kind, Record, SETTINGS};
use proptest::prelude::*;

use super::*;

/// What reached the sink, without times and without regard to pieces.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Log {
    /// Direction, kind, type, flags, stream, payload.
    records: Vec<(u8, u8, u8, u8, u32, Vec<u8>)>,
    lost: Vec<Loss>,
    /// Records so far of each direction; a hole in the numbers is a fault.
    next: [u32; 2],
}

impl Sink for Log {
    fn record(&mut self, record: &Record, payload: &[u8]) {
        let unnumbered = record.kind == Kind::Closed as u8 && record.frame_type == Close::Gone as u8;
        if !unnumbered {
            let next = &mut self.next[usize::from(record.direction)];
            assert_eq!(record.sequence, *next);
            *next += 1;
        }
        if record.offset > 0 {
            let (.., whole) = self.records.last_mut().unwrap();
            whole.extend(payload);
            return;
        }
        let Record {
            direction,
            kind,
            frame_type,
            flags,
            stream,
            ..
        } = *record;
        self.records
            .push((direction, kind, frame_type, flags, stream, payload.to_vec()));
    }

    fn lost(&mut self, loss: Loss) {
        self.lost.push(loss);
    }
}

impl Log {
    fn frames(&self, direction: Direction) -> Vec<(u8, u32, Vec<u8>)> {
        let frames = self
            .records
            .iter()
            .filter(|record| (record.0, record.1) == (direction as u8, Kind::Frame as u8));
        frames
            .map(|(_, _, kind, _, stream, payload)| (*kind, *stream, payload.clone()))
            .collect()
    }

    fn kinds(&self, kind: Kind) -> usize {
        self.records
            .iter()
            .filter(|record| record.1 == kind as u8)
            .count()
    }
}

const CLIENT: Endpoint = Endpoint {
    address: [1; 16],
    port: 40_000,
};
const SERVER: Endpoint = Endpoint {
    address: [2; 16],
    port: 443,
};
/// First sequence numbers; the client's stream passes over the end of the numbers.
const CLIENT_BEGIN: u32 = u32::MAX - 300;
const SERVER_BEGIN: u32 = 5000;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn calls(count: u32) -> (Vec<u8>, Vec<u8>) {
    let (mut client, mut server) = (PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[]));
    client.extend(frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]));
    for stream in (0..count).map(|call| call * 2 + 1) {
        client.extend(frame(HEADERS, END_HEADERS, stream, &[stream as u8; 40]));
        client.extend(frame(DATA, END_STREAM, stream, &[7; 100]));
        server.extend(frame(HEADERS, END_HEADERS, stream, &[stream as u8; 20]));
        server.extend(frame(DATA, 0, stream, &[9; 300]));
        server.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, b"status"));
    }
    (client, server)
}

fn packet(ingress: bool, offset: usize, acknowledged: u32, flags: u8, payload: &[u8]) -> Segment<'_> {
    let (from, to, begin) = if ingress {
        (CLIENT, SERVER, CLIENT_BEGIN)
    } else {
        (SERVER, CLIENT, SERVER_BEGIN)
    };
    Segment {
        from,
        to,
        sequence: begin.wrapping_add(offset as u32),
        acknowledged,
        flags: flags | ACK,
        length: payload.len() as u32,
        payload,
    }
}

fn handshake(log: &mut Log) -> Connection {
    let syn = Segment {
        flags: SYN,
        ..packet(true, 0, 0, 0, b"")
    };
    let syn = Segment {
        sequence: CLIENT_BEGIN.wrapping_sub(1),
        ..syn
    };
    let mut connection = Connection::new(1, &syn, 0).unwrap();
    connection.segment(&syn, 0, log);
    let answer = Segment {
        sequence: SERVER_BEGIN - 1,
        ..packet(false, 0, CLIENT_BEGIN, SYN, b"")
    };
    connection.segment(&answer, 0, log);
    connection
}

/// The log of both streams in order, in segments of this size.
fn in_order(client: &[u8], server: &[u8], most: usize) -> Log {
    let mut log = Log::default();
    let mut connection = handshake(&mut log);
    for (ingress, bytes) in [(true, client), (false, server)] {
        for (index, piece) in bytes.chunks(most).enumerate() {
            connection.segment(&packet(ingress, index * most, 0, 0, piece), 1, &mut log);
        }
    }
    log
}

#[test]
fn calls_in_order() {
    let (client, server) = calls(3);
    let log = in_order(&client, &server, 1448);
    assert_eq!(log.frames(Direction::Ingress).len(), 4);
    assert_eq!(log.frames(Direction::Egress).len(), 7);
    assert_eq!((log.kinds(Kind::Socket), log.kinds(Kind::Gap)), (1, 0));
}

proptest! {
    /// Segments in any order, some twice, overlapping: the same frames.
    #[test]
    fn disorder_changes_nothing(
        order in Just((0usize..20).collect::<Vec<_>>()).prop_shuffle(),
        again in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..10),
    ) {
        let (client, server) = calls(6);
        let expected = in_order(&client, &server, usize::MAX >> 1);
        let mut log = Log::default();
        let mut connection = handshake(&mut log);
        for (ingress, bytes) in [(true, &client), (false, &server)] {
            let most = bytes.len().div_ceil(20);
            let piece = |start: usize, end: usize| &bytes[start.min(bytes.len())..end.min(bytes.len())];
            for (start, length) in &again {
                let start = start.index(bytes.len());
                let end = start + length.index(most);
                connection.segment(&packet(ingress, start, 0, 0, piece(start, end)), 1, &mut log);
            }
            for index in &order {
                let piece = piece(index * most, (index + 1) * most);
                connection.segment(&packet(ingress, index * most, 0, 0, piece), 1, &mut log);
            }
        }
        for direction in [Direction::Ingress, Direction::Egress] {
            prop_assert_eq!(log.frames(direction), expected.frames(direction));
        }
        prop_assert_eq!(log.lost, Vec::new());
    }
}

#[test]
fn missed_by_the_capture() {
    let (client, server) = calls(6);
    let mut log = Log::default();
    let mut connection = handshake(&mut log);
    for (index, piece) in client.chunks(149).enumerate() {
        if index != 2 {
            connection.segment(&packet(true, index * 149, 0, 0, piece), 1, &mut log);
        }
    }
    assert_eq!(log.lost, []);
    // The server has it all, and it is not going to come.
    let all = CLIENT_BEGIN.wrapping_add(client.len() as u32);
    connection.segment(&packet(false, 0, all, 0, &server), 1, &mut log);
    assert_eq!(log.lost, []);
    connection.segment(&packet(false, server.len(), all, 0, b""), 1_000_000_000, &mut log);
    assert_eq!(log.lost, [Loss::HoldExceeded]);
    let streams: Vec<_> = log
        .frames(Direction::Ingress)
        .into_iter()
        .map(|(_, stream, _)| stream)
        .collect();
    // The first frame behind the hole is inside of a segment: four more are needed to believe in it.
    assert_eq!(streams, [0, 1, 3, 11]);
}

#[test]
fn cut_by_the_capture() {
    let (client, _) = calls(1);
    let cut = |keep: usize| {
        let mut log = Log::default();
        let mut connection = handshake(&mut log);
        let whole = packet(true, 0, 0, 0, &client);
        connection.segment(
            &Segment {
                payload: &client[..keep],
                ..whole
            },
            1,
            &mut log,
        );
        let more = frame(HEADERS, END_HEADERS, 3, &[3; 40]);
        connection.segment(&packet(true, client.len(), 0, 0, &more), 1, &mut log);
        (log.frames(Direction::Ingress).len(), log.lost)
    };
    // In the body, which nobody reads; in the header block.
    assert_eq!(cut(client.len() - 90), (3, vec![]));
    assert_eq!(cut(60), (3, vec![Loss::UnreadableSegment]));
}

#[test]
fn begins_with_the_preface() {
    let (client, server) = calls(2);
    let first = packet(true, 0, SERVER_BEGIN, 0, &client);
    let mut log = Log::default();
    let mut connection = Connection::new(1, &first, 0).unwrap();
    connection.segment(&first, 0, &mut log);
    connection.segment(&packet(false, 0, 0, 0, &server), 0, &mut log);
    assert_eq!(
        (
            log.frames(Direction::Ingress).len(),
            log.frames(Direction::Egress).len()
        ),
        (3, 5)
    );
    assert_eq!(connection.shared.joined, 0);
}

#[test]
fn joined_in_the_middle() {
    let (_, server) = calls(9);
    let begin = 9 + 29 + 309 + 15; // SETTINGS and the first call
    let first = packet(false, begin, 0, 0, &server[begin..]);
    let mut log = Log::default();
    let mut connection = Connection::new(1, &first, 0).unwrap();
    connection.segment(&first, 0, &mut log);
    assert_eq!(connection.shared.joined, 1);
    assert_eq!(log.frames(Direction::Egress).len(), 16);
}

#[test]
fn ends() {
    let (client, server) = calls(1);
    let mut log = in_order(&client, &server, 1448);
    let mut connection = handshake(&mut Log::default());
    log.records.clear();
    log.next = [0; 2];
    connection.segment(&packet(true, 0, 0, FIN, b""), 1, &mut log);
    assert!(!connection.is_over());
    connection.segment(&packet(false, 0, 0, FIN, b""), 1, &mut log);
    assert!(connection.is_over());
    assert_eq!(log.kinds(Kind::Closed), 3);

    let mut connection = handshake(&mut Log::default());
    let forged = packet(true, 1 << 25, 0, RST, b"");
    connection.segment(&forged, 1, &mut Log::default());
    assert!(!connection.is_over());
    connection.segment(&packet(true, 0, 0, RST, b""), 1, &mut Log::default());
    assert!(connection.is_over());
}

#[test]
fn succeeded_by_another() {
    let connection = handshake(&mut Log::default());
    let again = Segment {
        flags: SYN,
        sequence: CLIENT_BEGIN.wrapping_sub(1),
        ..packet(true, 0, 0, 0, b"")
    };
    assert!(!connection.is_succeeded(&again));
    assert!(connection.is_succeeded(&Segment {
        sequence: 77,
        ..again
    }));
    assert!(!connection.is_succeeded(&packet(true, 0, 0, SYN, b"")));
}

proptest! {
    /// Any segments at all: no panic, and bounded memory.
    #[test]
    fn any_segments(
        segments in prop::collection::vec(
            (any::<bool>(), 0usize..3000, any::<u8>(), prop::collection::vec(any::<u8>(), 0..60), 0u32..100, 0u64..4),
            1..60,
        )
    ) {
        let mut log = Log::default();
        let mut connection = handshake(&mut log);
        let mut time = 0;
        for (ingress, offset, flags, payload, more, later) in &segments {
            time += later * 100_000_000;
            let whole = packet(*ingress, *offset, *offset as u32, *flags, payload);
            let segment = Segment { length: whole.length + more, flags: *flags, ..whole };
            connection.segment(&segment, time, &mut log);
        }
        connection.end(time, &mut log);
        prop_assert_eq!(connection.held_bytes(), 0);
    }
}
