//! One direction of a connection: its bytes in their order, cut into the heads of frames.

use std::collections::BTreeMap;

use super::packet::Packet;

pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;
const FRAME_HEAD: usize = 9;
/// Bytes of the preface with which a client begins.
const PREFACE: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub is_last: bool,
}

#[derive(Debug, Default)]
pub struct Flow {
    /// Sequence number of the next byte; unknown before the first segment.
    next: Option<u32>,
    /// Segments that cannot be walked yet, by their sequence numbers.
    waiting: BTreeMap<u32, Vec<u8>>,
    /// The head of a frame, as far as it is there.
    head: Vec<u8>,
    /// Bytes to pass over until the next head.
    skip: usize,
}

impl Flow {
    pub fn new(is_request: bool) -> Self {
        Self {
            skip: if is_request { PREFACE } else { 0 },
            ..Self::default()
        }
    }

    /// The frames whose heads are complete with this packet.
    pub fn take(&mut self, packet: &Packet<'_>) -> Vec<Frame> {
        if packet.is_begin() {
            self.next = Some(packet.sequence.wrapping_add(1));
        }
        let mut frames = Vec::new();
        if packet.payload.is_empty() {
            return frames;
        }
        self.next.get_or_insert(packet.sequence);
        self.waiting.insert(packet.sequence, packet.payload.to_vec());
        while let Some(next) = self.next {
            // Sequence numbers go round: a distance of less than half of them is ahead.
            let ready = self
                .waiting
                .keys()
                .copied()
                .find(|start| next.wrapping_sub(*start) < 1 << 31);
            let Some(start) = ready else { break };
            let Some(bytes) = self.waiting.remove(&start) else {
                break;
            };
            let seen = usize::try_from(next.wrapping_sub(start)).unwrap_or(usize::MAX);
            if let Some(bytes) = bytes.get(seen..).filter(|bytes| !bytes.is_empty()) {
                let length = u32::try_from(bytes.len()).unwrap_or(0);
                self.next = Some(next.wrapping_add(length));
                self.walk(bytes, &mut frames);
            }
        }
        frames
    }

    fn walk(&mut self, mut bytes: &[u8], frames: &mut Vec<Frame>) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = (FRAME_HEAD - self.head.len()).min(bytes.len());
            let (part, rest) = bytes.split_at(wanted);
            self.head.extend_from_slice(part);
            bytes = rest;
            if let [a, b, c, kind, flags, stream @ ..] = self.head.as_slice()
                && let Ok(stream) = <[u8; 4]>::try_from(stream)
            {
                self.skip = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                frames.push(Frame {
                    kind: *kind,
                    stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
                    is_last: flags & END_STREAM != 0,
                });
                self.head.clear();
            }
        }
    }
}
