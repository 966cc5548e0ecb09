//! Records of calls as the kernel writes them, for the benchmarks of decoding, in the ways in which peers write headers.

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

fn written(first: u8) -> Blocks {
    [
        [&REQUEST_STATIC[..], &literals(first, &REQUEST)].concat(),
        [&RESPONSE_STATIC[..], &literals(first, &RESPONSE)].concat(),
        literals(first, &TRAILERS),
    ]
}

/// A way of writing headers. The first call of a connection may differ from all later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Everything was inserted by the first call and is an index from then on: grpc-go without deadlines.
    Indexed,
    /// The same with a deadline that is another on every call, inserted by each: grpc-go's and tonic's way. The other
    /// indices move, and now and then fields fall out of the table.
    Deadline,
    /// Written out on every call: what tonic and grpc-js do with the path.
    Literal,
    /// The same, and a trace id that is another on every call.
    Traced,
    /// Written out and inserted anew on every call: nginx.
    InsertedAnew,
}

impl Form {
    pub const ALL: [Self; 5] = [
        Self::Indexed,
        Self::Deadline,
        Self::Literal,
        Self::Traced,
        Self::InsertedAnew,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Indexed => "indexed",
            Self::Deadline => "deadline",
            Self::Literal => "literal",
            Self::Traced => "traced",
            Self::InsertedAnew => "inserted_anew",
        }
    }

    /// The blocks of a connection's call with this number, from 0.
    fn blocks(self, number: u32, table: &mut Table) -> Blocks {
        match self {
            Self::Indexed | Self::Deadline if number == 0 => {
                table.insert_all(&REQUEST);
                written(0x40)
            }
            Self::Indexed | Self::Deadline => {
                let mut request = REQUEST_STATIC.to_vec();
                request.extend(REQUEST.iter().flat_map(|field| table.encode(field.0, field.1)));
                if self == Self::Deadline {
                    request.extend(table.encode("grpc-timeout", &format!("{}u", 999_999 - number)));
                }
                [
                    request,
                    [&RESPONSE_STATIC[..], &[0xc0]].concat(),
                    vec![0xbf, 0xbe],
                ]
            }
            Self::Literal => written(0x00),
            Self::Traced => {
                let [mut request, response, trailers] = written(0x00);
                let id = u128::from(number) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
                request.extend(literals(
                    0x00,
                    &[("traceparent", &format!("00-{id:032x}-00f067aa0ba902b7-01"))],
                ));
                [request, response, trailers]
            }
            Self::InsertedAnew => written(0x40),
        }
    }
}

/// An encoder's dynamic table of 4096 bytes, newest first.
#[derive(Debug, Default)]
struct Table(Vec<(String, String)>);

impl Table {
    fn insert_all(&mut self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            self.0.insert(0, ((*name).to_owned(), (*value).to_owned()));
        }
        let size = |fields: &[(String, String)]| -> usize {
            fields
                .iter()
                .map(|(name, value)| name.len() + value.len() + 32)
                .sum()
        };
        while size(&self.0) > 4096 {
            self.0.pop();
        }
    }

    fn encode(&mut self, name: &str, value: &str) -> Vec<u8> {
        let place =
            |found: Option<usize>| found.map(|place| u8::try_from(62 + place).expect("a small table"));
        if let Some(index) = place(
            self.0
                .iter()
                .position(|field| field.0 == name && field.1 == value),
        ) {
            return integer(0x80, 7, index);
        }
        let index = place(self.0.iter().position(|field| field.0 == name));
        self.insert_all(&[(name, value)]);
        let Some(index) = index else {
            return literals(0x40, &[(name, value)]);
        };
        let coded = encode_huffman(value.as_bytes());
        let length = 0x80 | u8::try_from(coded.len()).expect("a short text");
        [integer(0x40, 6, index), vec![length], coded].concat()
    }
}

/// An integer of RFC 7541, section 5.1, with one byte behind the first at most.
fn integer(first: u8, prefix: u32, number: u8) -> Vec<u8> {
    let most = (1 << prefix) - 1;
    if number < most {
        vec![first | number]
    } else {
        vec![first | most, number - most]
    }
}

/// One connection's records, numbered.
#[derive(Debug)]
pub struct Wire {
    form: Form,
    table: Table,
    sequence: [u32; 2],
    stream: u32,
}

impl Wire {
    pub fn new(form: Form) -> Self {
        Self {
            form,
            table: Table::default(),
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
    pub fn calls(&mut self, at_once: u32) -> Vec<(Record, Vec<u8>)> {
        let streams: Vec<u32> = (0..at_once).map(|place| self.stream + 2 * place).collect();
        self.stream += 2 * at_once;
        let mut records = Vec::new();
        let mut answers = Vec::new();
        for &stream in &streams {
            let [request, response, trailers] = self.form.blocks(stream / 2, &mut self.table);
            records.push((self.headers(Direction::Ingress, stream, 0, &request, 0), request));
            answers.push((stream, response, trailers));
        }
        for (stream, response, trailers) in answers {
            records.push((self.headers(Direction::Egress, stream, 0, &response, 0), response));
            let last = self.headers(Direction::Egress, stream, END_STREAM, &trailers, 21);
            records.push((last, trailers));
        }
        records
    }
}
