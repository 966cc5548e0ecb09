//! A whole connection made of acts: blocks by a real encoder, raw frames, losses and ends, told in pieces of two
//! sizes: the same events; each call that starts ends once; memory within a ceiling.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use observer::session::{CallEvent, Session};
use observer_ebpf::record::{Direction, Kind, Record};
use wire::{Encoder, Field, Form, Frame, Kernel, header_frames};

const FIELDS: [(&str, &str); 24] = [
    (":method", "POST"),
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/a.A/One"),
    (":path", "/a.A/Two"),
    (":path", "/page?q"),
    (":authority", "server"),
    (":status", "200"),
    (":status", "103"),
    (":status", "503"),
    ("content-type", "application/grpc"),
    ("content-type", "application/grpc-web"),
    ("content-type", "text/html"),
    ("te", "trailers"),
    ("grpc-timeout", "5n"),
    ("grpc-timeout", "1H"),
    ("grpc-status", "0"),
    ("grpc-status", "5"),
    ("grpc-status", "99"),
    ("grpc-status", ""),
    ("x-other", "1"),
    ("x-other", "2"),
    (
        "x-long",
        "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
    ),
    ("", ""),
];

struct Player {
    session: Session,
    kernel: Kernel,
    encoders: [Encoder; 2],
    events: Vec<CallEvent>,
}

impl Player {
    fn play(&mut self, data: &[u8]) {
        let mut rest = data;
        let mut time = 0;
        while let Some((&[act, stream, size], after)) = rest.split_first_chunk() {
            let (body, after) = after.split_at(usize::from(size & 0x1f).min(after.len()));
            rest = after;
            time += u64::from(size >> 5);
            self.act(act, stream.into(), body, time);
            assert!(self.session.memory() < 2 << 20);
        }
        self.session.end(time, &mut self.events);
    }

    fn act(&mut self, act: u8, stream: u32, body: &[u8], time: u64) {
        let sender = usize::from(act & 1);
        let direction = Direction::from_raw(act & 1);
        let number = body
            .iter()
            .fold(0_u32, |number, &byte| number << 8 | u32::from(byte));
        match act >> 4 {
            0..=5 => {
                let field = |&byte: &u8| {
                    let (name, value) = FIELDS[usize::from(byte & 0x1f) % FIELDS.len()];
                    let form =
                        [Form::Indexing, Form::Literal, Form::NeverIndexed][usize::from(byte >> 6) % 3];
                    Field {
                        name: name.into(),
                        value: value.into(),
                        form,
                        huffman: byte & 0x20 != 0,
                    }
                };
                let block = self.encoders[sender].encode(&body.iter().map(field).collect::<Vec<_>>());
                let frame_type = if act & 8 == 0 { 1 } else { 5 };
                let payload = if frame_type == 5 {
                    vec![0, 0, 0, 2]
                } else {
                    Vec::new()
                };
                let first = Frame {
                    frame_type,
                    flags: act >> 1 & 1,
                    stream,
                    payload,
                };
                let most = if act & 4 == 0 { usize::MAX } else { 9 };
                for frame in header_frames(
                    &first,
                    &block,
                    most,
                    Some(3).filter(|_| act & 0x10 != 0),
                    act & 0x20 != 0,
                ) {
                    self.send(direction, &frame, time);
                }
            }
            6 => {
                let payload = vec![0; number as usize & 0xffff];
                self.send(
                    direction,
                    &Frame {
                        frame_type: 0,
                        flags: act >> 1 & 1,
                        stream,
                        payload,
                    },
                    time,
                );
            }
            7 | 8 => {
                let frame_type = [1, 9, 3, 7, 4, 5, 9, 1][usize::from(act >> 1 & 7)];
                let flags = body.first().copied().unwrap_or(0);
                let payload = body.get(1..).unwrap_or_default().to_vec();
                self.send(
                    direction,
                    &Frame {
                        frame_type,
                        flags,
                        stream,
                        payload,
                    },
                    time,
                );
            }
            9 => {
                self.send(
                    direction,
                    &Frame {
                        frame_type: 3,
                        flags: 0,
                        stream,
                        payload: number.to_be_bytes().into(),
                    },
                    time,
                );
            }
            10 => {
                let payload = [stream.to_be_bytes(), [0; 4]].concat();
                self.send(
                    direction,
                    &Frame {
                        frame_type: 7,
                        flags: 0,
                        stream: 0,
                        payload,
                    },
                    time,
                );
            }
            11 => self.encoders[sender].resize(number as usize & 0x1fff),
            12 => {
                // Lost: told to nobody, but counted.
                let frame = Frame {
                    frame_type: 3,
                    flags: 0,
                    stream,
                    payload: vec![0; 4],
                };
                self.kernel.frame(direction, &frame, time);
            }
            13 => self.tell(direction, Kind::Gap, 0, time),
            14 => self.tell(direction, Kind::Closed, act >> 1 & 7, time),
            _ => self.session.expire(time, stream.into(), &mut self.events),
        }
    }

    fn send(&mut self, direction: Direction, frame: &Frame, time: u64) {
        for (record, payload) in self.kernel.frame(direction, frame, time) {
            self.on(&record, &payload);
        }
    }

    fn tell(&mut self, direction: Direction, kind: Kind, what: u8, time: u64) {
        let (record, payload) = self.kernel.event(direction, kind, what, time);
        self.on(&record, &payload);
    }

    fn on(&mut self, record: &Record, payload: &[u8]) {
        self.session.on_record(record, payload, &mut self.events);
    }
}

fn events(data: &[u8], joined: bool, piece: usize) -> Vec<CallEvent> {
    let mut player = Player {
        session: Session::new(joined),
        kernel: Kernel::new(piece),
        encoders: [Encoder::default(), Encoder::default()],
        events: Vec::new(),
    };
    player.play(data);
    assert_eq!(player.session.open_streams(), 0);
    player.events
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let joined = first & 1 == 1;
    let whole = events(data, joined, 4096);
    let mut open = HashSet::new();
    for event in &whole {
        match event {
            CallEvent::Started { stream, .. } => assert!(open.insert(*stream)),
            CallEvent::Ended(ended) if ended.started.is_some() => assert!(open.remove(&ended.stream)),
            _ => {}
        }
    }
    assert!(open.is_empty());
    assert_eq!(whole, events(data, joined, 1 + usize::from(first >> 4)));
});
