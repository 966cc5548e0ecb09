//! Records of calls as the kernel writes them, for the benchmarks of decoding: the blocks of a peer that indexes its
//! headers (grpc-go) and of one that writes them out on every call (tonic, grpc-js).

use observer::hpack::encode_huffman;
use observer_ebpf::record::{DataCount, Direction, END_HEADERS, END_STREAM, HEADERS, Kind, Record};

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
pub type Blocks = [Vec<u8>; 3];

pub fn written(first: u8) -> Blocks {
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

/// A way of writing headers: its name, a connection's first call, and all later ones.
pub fn forms() -> [(&'static str, Blocks, Blocks); 3] {
    [
        ("indexed", written(0x40), indexed()),
        ("literal", written(0x00), written(0x00)),
        ("inserted_anew", written(0x40), written(0x40)),
    ]
}

/// One connection's records, numbered.
#[derive(Debug)]
pub struct Wire {
    sequence: [u32; 2],
    stream: u32,
}

impl Wire {
    pub const fn new() -> Self {
        Self {
            sequence: [0; 2],
            stream: 1,
        }
    }

    pub fn record(&mut self, direction: Direction, kind: Kind, payload: &[u8]) -> Record {
        let sequence = &mut self.sequence[usize::from(direction == Direction::Egress)];
        *sequence += 1;
        let length = u32::try_from(payload.len()).expect("a short block");
        Record {
            connection: 1,
            time: u64::from(self.stream) * 1_000,
            sequence: *sequence - 1,
            kind: kind as u8,
            direction: direction as u8,
            frame_type: 0,
            flags: 0,
            stream: 0,
            length,
            offset: 0,
            payload: length,
            data: DataCount::default(),
            data_other: DataCount::default(),
        }
    }

    fn headers(&mut self, direction: Direction, stream: u32, flags: u8, block: &[u8], data: u32) -> Record {
        Record {
            frame_type: HEADERS,
            flags: END_HEADERS | flags,
            stream,
            data: DataCount {
                stream: if data > 0 { stream } else { 0 },
                bytes: data,
            },
            data_other: DataCount {
                stream: if flags > 0 { stream } else { 0 },
                bytes: data,
            },
            ..self.record(direction, Kind::Frame, block)
        }
    }

    /// So many calls at once: all requests, then all answers.
    pub fn calls<'a>(
        &mut self,
        [request, response, trailers]: &'a Blocks,
        at_once: u32,
    ) -> Vec<(Record, &'a [u8])> {
        let streams: Vec<u32> = (0..at_once).map(|place| self.stream + 2 * place).collect();
        self.stream += 2 * at_once;
        let mut records: Vec<(Record, &[u8])> = Vec::new();
        for &stream in &streams {
            records.push((self.headers(Direction::Ingress, stream, 0, request, 0), request));
        }
        for &stream in &streams {
            records.push((self.headers(Direction::Egress, stream, 0, response, 0), response));
            let last = self.headers(Direction::Egress, stream, END_STREAM, trailers, 21);
            records.push((last, trailers));
        }
        records
    }
}
