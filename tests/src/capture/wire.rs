//! The tests' own reading of HTTP/2: from a byte stream to the frames that the kernel has to tell of. Written
//! from RFC 9113 and independent of the walker that it is to judge.

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;

/// One frame, and what of its payload is to arrive.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub length: usize,
    pub payload: Vec<u8>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kind,
            flags,
            stream,
            length,
            payload,
        } = self;
        let sum = payload.iter().fold(0_u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u32::from(*byte))
        });
        write!(
            formatter,
            "type {kind} flags {flags:#x} stream {stream} length {length} "
        )?;
        write!(formatter, "({} bytes, sum {sum:08x})", payload.len())
    }
}

/// One direction of a connection, as its application wrote or read it.
#[derive(Debug, Default)]
pub struct Recording {
    /// Frames to be told, in order.
    pub frames: Vec<Frame>,
    /// Payload of all DATA frames.
    pub data_bytes: u64,
    /// Bytes of all kinds.
    pub bytes: u64,
    pending: Vec<u8>,
    /// What is left of a DATA payload that is not kept.
    skip: usize,
    begun: bool,
}

impl Recording {
    pub fn feed(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.split_at(skipped).1;
            if bytes.is_empty() {
                return;
            }
            // Not more than one frame at a time, so that skipped payloads are never copied.
            let missing = self.wanted() - self.pending.len();
            let (now, rest) = bytes.split_at(missing.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = rest;
            if self.pending.len() == self.wanted() {
                self.take();
            }
        }
    }

    /// Whether the stream ends between two frames.
    pub fn is_whole(&self) -> bool {
        self.skip == 0 && self.pending.is_empty()
    }

    /// Length of what stands at the front, as far as it is known.
    fn wanted(&self) -> usize {
        if !self.begun && PREFACE.starts_with(&self.pending[..self.pending.len().min(PREFACE.len())]) {
            return if self.pending.is_empty() { 1 } else { PREFACE.len() };
        }
        if self.pending.len() < HEAD {
            return HEAD;
        }
        if self.pending[3] == 0 {
            HEAD
        } else {
            HEAD + self.length()
        }
    }

    fn length(&self) -> usize {
        usize::from(self.pending[0]) << 16 | usize::from(self.pending[1]) << 8 | usize::from(self.pending[2])
    }

    fn take(&mut self) {
        if !self.begun && self.pending == b"P" {
            return;
        }
        if !self.begun && self.pending == PREFACE {
            self.begun = true;
            self.pending.clear();
            return;
        }
        if self.pending.len() < HEAD || (self.pending.len() == HEAD && self.wanted() > HEAD) {
            return;
        }
        self.begun = true;
        let length = self.length();
        let [_, _, _, kind, flags, s0, s1, s2, s3] = *self.pending.first_chunk().expect("a head");
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        if kind == 0 {
            self.data_bytes += length as u64;
            self.skip = length;
        }
        if let Some(told) = told(kind, flags, length) {
            let payload = self.pending[HEAD..HEAD + told].to_vec();
            self.frames.push(Frame {
                kind,
                flags,
                stream,
                length,
                payload,
            });
        }
        self.pending.clear();
    }
}

/// How much of a frame's payload arrives; `None`: the frame is not told.
fn told(kind: u8, flags: u8, length: usize) -> Option<usize> {
    match kind {
        1 | 5 | 9 => Some(length),
        3 => Some(length.min(4)),
        4 if flags & 1 == 0 => Some(length.min(384)),
        7 => Some(length.min(8)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn any_cutting_gives_the_same() {
        let whole = [
            PREFACE.to_vec(),
            frame(4, 0, 0, &[0, 4, 0, 0, 1, 0]),
            frame(1, 4, 1, b"abc"),
            frame(0, 0, 1, &[7; 200]),
            frame(0, 1, 1, &[]),
            frame(8, 0, 0, &[0; 4]),
            frame(4, 1, 0, &[]),
            frame(3, 0, 1, &[0, 0, 0, 8]),
        ]
        .concat();
        for cut in 1..whole.len() {
            let mut recording = Recording::default();
            whole.chunks(cut).for_each(|piece| recording.feed(piece));
            let kinds: Vec<_> = recording
                .frames
                .iter()
                .map(|frame| (frame.kind, frame.payload.len()))
                .collect();
            assert_eq!(kinds, [(4, 6), (1, 3), (3, 4)], "cut every {cut}");
            assert_eq!((recording.data_bytes, recording.is_whole()), (200, true));
        }
    }
}
