//! The kernel's side for bytes instead of frames: the real walker over segments, and the records it tells.

use observer_ebpf::record::{Direction, END_STREAM, HEADERS, Kind, Protocol, RST_STREAM, Record};
use observer_ebpf::walker::{Shared, Source, Tell, Walk, What, phase, step};

/// Follows both directions of a connection.
#[derive(Debug, Default)]
pub struct Tap {
    walks: [Walk; 2],
    shared: Shared,
}

struct Segment<'a> {
    start: u32,
    bytes: &'a [u8],
    time: u64,
}

impl Source for Segment<'_> {
    fn start(&self) -> u32 {
        self.start
    }

    fn length(&self) -> u32 {
        self.bytes.len() as u32
    }

    fn time(&self) -> u64 {
        self.time
    }

    fn load<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.bytes.get(at as usize..)?.get(..N)?.try_into().ok()
    }
}

impl Tap {
    /// Seen from the first byte.
    #[must_use]
    pub fn from_start() -> Self {
        Self {
            walks: [Walk::from_start(0), Walk::from_start(0)],
            shared: Shared::default(),
        }
    }

    /// Seen from somewhere in the middle, a boundary still to be found.
    #[must_use]
    pub fn joined() -> Self {
        let shared = Shared {
            joined: 1,
            ..Shared::default()
        };
        Self {
            walks: [Walk::joined(0), Walk::joined(0)],
            shared,
        }
    }

    /// Takes the next bytes of a direction, beginning at `start` of all its bytes.
    pub fn segment(
        &mut self,
        direction: Direction,
        start: u32,
        bytes: &[u8],
        time: u64,
    ) -> Vec<(Record, Vec<u8>)> {
        let mut records = Vec::new();
        let segment = Segment { start, bytes, time };
        loop {
            let walk = &mut self.walks[direction as usize];
            let tell = step(walk, &mut self.shared, direction, &segment);
            match tell.what {
                What::Nothing => {}
                What::Done => return records,
                What::Protocol => {
                    let sequence = self.number(direction);
                    let kind = Kind::Socket as u8;
                    records.push((
                        Record {
                            time,
                            sequence,
                            kind,
                            direction: direction as u8,
                            ..super::EMPTY
                        },
                        vec![],
                    ));
                }
                What::Reopen => self.walks[direction.other() as usize].phase = phase::REOPEN,
                What::Frame | What::Data | What::Gap => {
                    let (at, piece) = (tell.at as usize, tell.piece as usize);
                    let record = self.record(direction, &tell, time);
                    records.push((record, bytes[at..at + piece].to_vec()));
                }
            }
        }
    }

    /// Whether the connection is known to be HTTP/2.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        Protocol::from_raw(self.shared.protocol) == Protocol::Http2
    }

    fn number(&mut self, direction: Direction) -> u32 {
        let sequence = &mut self.walks[direction as usize].sequence;
        *sequence = sequence.wrapping_add(1);
        sequence.wrapping_sub(1)
    }

    /// As the kernel program fills it in.
    fn record(&mut self, direction: Direction, tell: &Tell, time: u64) -> Record {
        let is_frame = tell.what == What::Frame;
        let mut record = Record {
            connection: 1,
            time,
            sequence: self.number(direction),
            kind: match tell.what {
                What::Frame => Kind::Frame,
                What::Data => Kind::Data,
                _ => Kind::Gap,
            } as u8,
            direction: direction as u8,
            frame_type: tell.frame_type,
            flags: tell.flags,
            stream: tell.stream,
            length: tell.length,
            offset: tell.offset,
            payload: tell.piece,
            ..super::EMPTY
        };
        if tell.offset > 0 {
            return record;
        }
        let walk = &mut self.walks[direction as usize];
        record.data = walk.data;
        walk.data_told(time);
        let is_reset = is_frame && tell.frame_type == RST_STREAM;
        let is_end = (!is_frame || tell.frame_type == HEADERS) && tell.flags & END_STREAM != 0;
        let other = &mut self.walks[direction.other() as usize];
        let is_response = self.shared.requests != direction as u8 + 1;
        if (is_reset || is_end) && is_response && other.data.stream == tell.stream {
            record.data_other = other.data;
            other.data.bytes = 0;
        }
        record
    }
}
