//! Valid HTTP/2 on the wire, and a plain model of what has to be told of it.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::Told;
use crate::record::*;

/// A frame whose payload says nothing: the walker looks at heads alone.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "`type` is a word of the language")]
pub struct Frame {
    pub frame_type: u8,
    pub flags: u8,
    pub stream: u32,
    pub length: usize,
}

impl Frame {
    pub fn new(frame_type: u8, flags: u8, stream: u32, length: usize) -> Self {
        Self {
            frame_type,
            flags,
            stream,
            length,
        }
    }

    /// Bytes that differ from place to place and look like nothing.
    fn payload(&self) -> impl Iterator<Item = u8> {
        let mut state = 0x9e37_79b9 ^ self.stream;
        (0..self.length).map(move |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(&(self.length as u32).to_be_bytes()[1..]);
        out.extend([self.frame_type, self.flags]);
        out.extend(self.stream.to_be_bytes());
        out.extend(self.payload());
    }
}

pub fn bytes(frames: &[Frame]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        frame.write(&mut out);
    }
    out
}

/// What has to be told of a direction that is seen from its beginning. `requests`: it carries them.
pub fn model(frames: &[Frame], requests: bool) -> Vec<Told> {
    let mut model = Model {
        told: Vec::new(),
        data: DataCount::default(),
        block: 0,
        requests,
    };
    for frame in frames {
        model.frame(frame);
    }
    model.told
}

struct Model {
    told: Vec<Told>,
    data: DataCount,
    block: usize,
    requests: bool,
}

impl Model {
    fn take_data(&mut self) -> Option<DataCount> {
        let data = self.data;
        self.data.bytes = 0;
        Some(data).filter(|data| data.bytes > 0)
    }

    fn frame(&mut self, frame: &Frame) {
        let most = match frame.frame_type {
            DATA => return self.data(frame),
            SETTINGS if frame.flags & ACK != 0 => return,
            HEADERS | PUSH_PROMISE | CONTINUATION => match self.block(frame) {
                Some(most) => most,
                None => return,
            },
            SETTINGS => 384,
            RST_STREAM => 4,
            GOAWAY => 8,
            _ => return,
        };
        let payload = frame.payload().take(most).collect();
        let data = self.take_data();
        let &Frame {
            frame_type,
            flags,
            stream,
            length,
        } = frame;
        self.told.push(Told::Frame {
            frame_type,
            flags,
            stream,
            length: length as u32,
            payload,
            data,
        });
    }

    /// Payload bytes told of a header frame; `None`: it is not told at all.
    fn block(&mut self, frame: &Frame) -> Option<usize> {
        let most = MAX_HEADER_BLOCK as usize;
        let before = if frame.frame_type == CONTINUATION {
            self.block
        } else {
            0
        };
        self.block = before + frame.length;
        if before > most && frame.flags & END_HEADERS == 0 {
            return None;
        }
        Some(if self.block > most { 0 } else { frame.length })
    }

    fn data(&mut self, frame: &Frame) {
        if self.data.bytes > 0 && self.data.stream != frame.stream {
            let data = self.take_data();
            self.told.push(Told::Data {
                flags: 0,
                stream: 0,
                data,
            });
        }
        self.data.stream = frame.stream;
        self.data.bytes += frame.length as u32;
        let ends = frame.flags & END_STREAM != 0 && !self.requests;
        if ends || self.data.bytes >= 1 << 20 {
            let data = self.take_data();
            let (flags, stream) = if ends { (END_STREAM, frame.stream) } else { (0, 0) };
            self.told.push(Told::Data { flags, stream, data });
        }
    }
}

fn stream() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 1u32..20, 1 => 1u32..0x8000_0000]
}

/// Lengths of header frames: mostly small, some about the size of a piece, some about that of the ceiling.
fn block_length() -> impl Strategy<Value = usize> {
    let ceiling = MAX_HEADER_BLOCK as usize;
    prop_oneof![
        20 => 0usize..200,
        4 => 4080usize..4110,
        2 => 10_000usize..70_000,
        1 => ceiling - 10..ceiling + 10,
        1 => ceiling..3 * ceiling,
    ]
}

/// HEADERS or `PUSH_PROMISE`, and its CONTINUATIONs.
fn block() -> impl Strategy<Value = Vec<Frame>> {
    let kind = prop_oneof![9 => Just(HEADERS), 1 => Just(PUSH_PROMISE)];
    let flags = prop::bits::u8::masked(END_STREAM | PADDED | PRIORITY_FLAG);
    (
        kind,
        flags,
        stream(),
        block_length(),
        prop::collection::vec(block_length(), 0..4),
    )
        .prop_map(|(kind, flags, stream, first, more)| {
            let mut frames = vec![Frame::new(kind, flags, stream, first)];
            frames.extend(
                more.into_iter()
                    .map(|length| Frame::new(CONTINUATION, 0, stream, length)),
            );
            if let Some(last) = frames.last_mut() {
                last.flags |= END_HEADERS;
            }
            frames
        })
}

fn single() -> impl Strategy<Value = Frame> {
    let frame = |kind, flags, stream, length| Frame::new(kind, flags, stream, length);
    let data_length = prop_oneof![6 => 0usize..300, 2 => 16_380usize..16_390, 1 => 60_000usize..200_000];
    let data_flags = prop::bits::u8::masked(END_STREAM | PADDED);
    prop_oneof![
        6 => (data_flags, stream(), data_length).prop_map(move |(f, s, l)| frame(DATA, f, s, l)),
        2 => (0usize..80).prop_map(move |n| frame(SETTINGS, 0, 0, n * 6)),
        1 => Just(frame(SETTINGS, ACK, 0, 0)),
        1 => (0u8..2).prop_map(move |ack| frame(PING, ack, 0, 8)),
        2 => prop_oneof![Just(0), stream()].prop_map(move |s| frame(WINDOW_UPDATE, 0, s, 4)),
        2 => stream().prop_map(move |s| frame(RST_STREAM, 0, s, 4)),
        1 => (8usize..600).prop_map(move |l| frame(GOAWAY, 0, 0, l)),
        1 => stream().prop_map(move |s| frame(PRIORITY, 0, s, 5)),
        1 => (10u8.., any::<u8>(), any::<u32>(), 0usize..3000).prop_map(move |(t, f, s, l)| frame(t, f, s, l)),
    ]
}

/// What comes behind the first SETTINGS.
pub fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let one = prop_oneof![1 => block(), 2 => single().prop_map(|frame| vec![frame])];
    prop::collection::vec(one, 0..25).prop_map(|groups| groups.concat())
}

/// A direction whose first frame is SETTINGS, as the protocol wants it.
pub fn opened(frames: Vec<Frame>) -> Vec<Frame> {
    let mut all = vec![Frame::new(SETTINGS, 0, 0, 18)];
    all.extend(frames);
    all
}
