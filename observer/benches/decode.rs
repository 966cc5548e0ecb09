//! Records in, finished calls out, on one core: the second and later calls of a peer that indexes (grpc-go), and
//! those of a peer that writes its headers out on every call (tonic, grpc-js).
#![expect(clippy::expect_used, reason = "its inputs are its own")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use observer::hpack::encode_huffman;
use observer::session::{CallEvent, Session};
use observer_ebpf::record::{DataCount, Direction, END_HEADERS, END_STREAM, HEADERS, Kind, Record};

const CALLS: u32 = 1_000;

/// A block of fields with new names, Huffman coded; bits of the first byte: 0x40 inserts, 0x00 does not.
fn literals(first: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(first);
        for text in [name, value] {
            let coded = encode_huffman(text.as_bytes());
            block.push(0x80 | u8::try_from(coded.len()).expect("a short text"));
            block.extend(coded);
        }
    }
    block
}

const REQUEST: [(&str, &str); 5] = [
    (":path", "/grpc.testing.BenchmarkService/UnaryCall"),
    (":authority", "127.0.0.1:50051"),
    ("content-type", "application/grpc"),
    ("user-agent", "grpc-go/1.81.0"),
    ("te", "trailers"),
];
const RESPONSE: [(&str, &str); 1] = [("content-type", "application/grpc")];
const TRAILERS: [(&str, &str); 2] = [("grpc-status", "0"), ("grpc-message", "")];

/// `:method: POST`, `:scheme: http`; `:status: 200`.
const REQUEST_STATIC: [u8; 2] = [0x83, 0x86];
const RESPONSE_STATIC: [u8; 1] = [0x88];

/// The blocks of a call: request, response, trailers.
type Blocks = [Vec<u8>; 3];

fn written(first: u8) -> Blocks {
    [
        [&REQUEST_STATIC[..], &literals(first, &REQUEST)].concat(),
        [&RESPONSE_STATIC[..], &literals(first, &RESPONSE)].concat(),
        literals(first, &TRAILERS),
    ]
}

/// The same as indices, the tables being filled by `written(0x40)`. The deadline changes with every call.
fn indexed() -> Blocks {
    let timeout = literals(0x00, &[("grpc-timeout", "999873u")]);
    [
        [&REQUEST_STATIC[..], &[0xc2, 0xc1, 0xc0, 0xbf, 0xbe], &timeout].concat(),
        [&RESPONSE_STATIC[..], &[0xc0]].concat(),
        vec![0xbf, 0xbe],
    ]
}

struct Wire {
    sequence: [u32; 2],
    stream: u32,
}

impl Wire {
    fn record(&mut self, direction: Direction, flags: u8, block: &[u8], data: u32) -> Record {
        let sequence = &mut self.sequence[usize::from(direction == Direction::Egress)];
        *sequence += 1;
        let length = u32::try_from(block.len()).expect("a short block");
        Record {
            connection: 1,
            time: u64::from(self.stream) * 1_000,
            sequence: *sequence - 1,
            kind: Kind::Frame as u8,
            direction: direction as u8,
            frame_type: HEADERS,
            flags: END_HEADERS | flags,
            stream: self.stream,
            length,
            offset: 0,
            payload: length,
            data: DataCount {
                stream: if data > 0 { self.stream } else { 0 },
                bytes: data,
            },
            data_other: DataCount {
                stream: if flags > 0 { self.stream } else { 0 },
                bytes: data,
            },
        }
    }

    fn call<'a>(&mut self, [request, response, trailers]: &'a Blocks) -> [(Record, &'a [u8]); 3] {
        let records = [
            (self.record(Direction::Ingress, 0, request, 0), request.as_slice()),
            (
                self.record(Direction::Egress, 0, response, 0),
                response.as_slice(),
            ),
            (
                self.record(Direction::Egress, END_STREAM, trailers, 21),
                trailers.as_slice(),
            ),
        ];
        self.stream += 2;
        records
    }
}

fn play(session: &mut Session, records: &[(Record, &[u8])], events: &mut Vec<CallEvent>) -> usize {
    let mut ended = 0;
    for (record, payload) in records {
        events.clear();
        session.on_record(record, payload, events);
        ended += events
            .iter()
            .filter(|event| matches!(event, CallEvent::Ended(_)))
            .count();
    }
    ended
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(CALLS.into()));
    let cases = [
        ("indexed", written(0x40), indexed()),
        ("literal", written(0x00), written(0x00)),
        ("inserted_anew", written(0x40), written(0x40)),
    ];
    for (name, first, later) in &cases {
        let mut wire = Wire {
            sequence: [0; 2],
            stream: 1,
        };
        let opening = wire.call(first);
        let records: Vec<_> = (0..CALLS).flat_map(|_| wire.call(later)).collect();
        group.bench_function(*name, |bencher| {
            let mut events = Vec::with_capacity(16);
            bencher.iter_batched_ref(
                || {
                    let mut session = Session::new(false);
                    play(&mut session, &opening, &mut Vec::new());
                    session
                },
                |session| {
                    let ended = play(session, black_box(&records), &mut events);
                    assert_eq!(ended, records.len() / 3);
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
