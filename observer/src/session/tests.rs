//! A session that remembers header blocks tells the same as one that decodes each of them.

use observer_ebpf::record::{END_HEADERS, HEADERS, SETTINGS};
use proptest::prelude::*;

use super::*;

/// What happens on a connection.
#[derive(Clone, Debug)]
enum Happening {
    /// A header block of the pool, on a stream that may be new.
    Block {
        direction: Direction,
        which: usize,
        opens: bool,
        ends: bool,
    },
    /// A record that never came.
    Loss(Direction),
    /// SETTINGS with this table size.
    TableSize(Direction, u8),
    /// Time passes: memory may be given back.
    Rest,
}

const FIELDS: [(&str, &str); 8] = [
    (":path", "/p.S/One"),
    (":path", "/p.S/Two"),
    ("content-type", "application/grpc"),
    ("content-type", "text/html"),
    ("grpc-status", "0"),
    ("grpc-status", "5"),
    ("grpc-timeout", "1S"),
    ("x-other", "something of some length, to fill the table"),
];

fn literal(first: u8, (name, value): (&str, &str)) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![first], text(name), text(value)].concat()
}

/// Fields of all forms. Nobody sees to it that an index means something: malformed blocks are part of it.
fn block() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        4 => prop::sample::select(vec![0x83_u8, 0x86, 0x88, 0x84]).prop_map(|byte| vec![byte]),
        3 => (0xbe..0xc4_u8).prop_map(|byte| vec![byte]),
        6 => prop::sample::select(FIELDS.to_vec()).prop_map(|field| literal(0x00, field)),
        2 => prop::sample::select(FIELDS.to_vec()).prop_map(|field| literal(0x40, field)),
    ];
    let sizes = vec![
        vec![],
        vec![],
        vec![],
        vec![],
        vec![0x20],
        vec![0x20, 0x3f, 0xe1, 0x1f],
        vec![0x3f, 0x45],
    ];
    (prop::sample::select(sizes), prop::collection::vec(field, 1..6))
        .prop_map(|(size, fields)| [size, fields.concat()].concat())
}

fn happening() -> impl Strategy<Value = Happening> {
    let direction = || prop::sample::select(vec![Direction::Ingress, Direction::Egress]);
    prop_oneof![
        40 => (direction(), 0..POOL, any::<bool>(), any::<bool>()).prop_map(|(direction, which, opens, ends)| {
            Happening::Block { direction, which, opens, ends }
        }),
        1 => direction().prop_map(Happening::Loss),
        1 => (direction(), prop::sample::select(vec![0, 64, 255])).prop_map(|(direction, size)| {
            Happening::TableSize(direction, size)
        }),
        1 => Just(Happening::Rest),
    ]
}

#[expect(
    clippy::as_conversions,
    reason = "the number of a kind; there is no other way to it"
)]
const FRAME: u8 = Kind::Frame as u8;

/// Few, so that they repeat themselves.
const POOL: usize = 5;

/// A session, and what it has told.
struct Told {
    session: Session,
    events: Vec<CallEvent>,
    remembers: bool,
}

impl Told {
    fn new(joined: bool, remembers: bool) -> Self {
        Self {
            session: Session::new(joined),
            events: Vec::new(),
            remembers,
        }
    }

    fn on_record(&mut self, record: &Record, payload: &[u8]) {
        if !self.remembers {
            self.session.ingress.recent.clear();
            self.session.egress.recent.clear();
        }
        self.session.on_record(record, payload, &mut self.events);
    }
}

/// The records of a connection, as far as these tests need them.
#[derive(Default)]
struct Wire {
    sequence: [u32; 2],
    stream: u32,
    time: u64,
}

impl Wire {
    fn number(&mut self, direction: Direction) -> u32 {
        let [ingress, egress] = &mut self.sequence;
        let sequence = match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        };
        *sequence += 1;
        *sequence - 1
    }

    fn frame(&mut self, direction: Direction, frame_type: u8, flags: u8, payload: &[u8]) -> Record {
        self.time += 1_000;
        let length = u32::try_from(payload.len()).unwrap();
        Record {
            connection: 1,
            time: self.time,
            sequence: self.number(direction),
            kind: FRAME,
            direction: u8::from(direction == Direction::Egress),
            frame_type,
            flags,
            stream: if frame_type == HEADERS { self.stream } else { 0 },
            length,
            offset: 0,
            payload: length,
            data: DataCount::default(),
            data_other: DataCount::default(),
        }
    }
}

fn compare(joined: bool, pool: &[Vec<u8>], happenings: &[Happening]) -> Result<(), TestCaseError> {
    let mut both = [Told::new(joined, true), Told::new(joined, false)];
    let mut wire = Wire {
        stream: 1,
        ..Wire::default()
    };
    for happening in happenings {
        match *happening {
            Happening::Block {
                direction,
                which,
                opens,
                ends,
            } => {
                wire.stream += if opens { 2 } else { 0 };
                let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
                let payload = pool.get(which).map_or(&[][..], Vec::as_slice);
                let record = wire.frame(direction, HEADERS, flags, payload);
                for told in &mut both {
                    told.on_record(&record, payload);
                }
            }
            Happening::Loss(direction) => {
                wire.number(direction);
            }
            Happening::TableSize(direction, size) => {
                let payload = [0, 1, 0, 0, 0, size];
                let record = wire.frame(direction, SETTINGS, 0, &payload);
                for told in &mut both {
                    told.on_record(&record, &payload);
                }
            }
            Happening::Rest => {
                for told in &mut both {
                    told.session.expire(0, u64::MAX, &mut told.events);
                }
            }
        }
        let [remembering, forgetful] = &mut both;
        prop_assert_eq!(&remembering.events, &forgetful.events);
        prop_assert_eq!(remembering.session.losses(), forgetful.session.losses());
    }
    Ok(())
}

proptest! {
    #[test]
    fn remembered_or_decoded_is_the_same(
        joined: bool,
        pool in prop::collection::vec(block(), POOL),
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        compare(joined, &pool, &happenings)?;
    }
}

#[test]
fn the_second_repetition_is_remembered() {
    let mut told = Told::new(false, true);
    let mut wire = Wire {
        stream: 1,
        ..Wire::default()
    };
    let block = [vec![0x83], literal(0, FIELDS[0]), literal(0, FIELDS[2])].concat();
    for times in 0..4 {
        let record = wire.frame(Direction::Ingress, HEADERS, END_HEADERS, &block);
        wire.stream += 2;
        let generation = told.session.ingress.decoder.generation();
        let known = told.session.ingress.recent.find(&block, generation);
        assert_eq!(known.is_some(), times >= 2);
        told.on_record(&record, &block);
    }
    assert_eq!(told.events.len(), 4);
}

#[test]
fn a_path_that_was_forgotten_is_not_remembered() {
    let mut told = Told::new(false, true);
    let mut wire = Wire {
        stream: 1,
        ..Wire::default()
    };
    let page = [vec![0x83], literal(0, (":path", "/page"))].concat();
    let mut send = |told: &mut Told, block: &[u8]| {
        let record = wire.frame(Direction::Ingress, HEADERS, END_HEADERS | END_STREAM, block);
        wire.stream += 2;
        told.on_record(&record, block);
    };
    for _ in 0..3 {
        send(&mut told, &page);
    }
    // So many paths that no call uses that they are swept, and the numbers used again.
    for number in 0..200 {
        send(
            &mut told,
            &[vec![0x83], literal(0, (":path", &format!("/{number}")))].concat(),
        );
    }
    let call = [vec![0x83], literal(0, FIELDS[0]), literal(0, FIELDS[2])].concat();
    send(&mut told, &call);
    send(&mut told, &page);
    let told_methods = told.events.iter().filter_map(|event| match event {
        CallEvent::Started { method, .. } => Some(told.session.method(*method)),
        _ => None,
    });
    assert_eq!(told_methods.collect::<Vec<_>>(), [b"/p.S/One"]);
}
