//! Makes the records that the kernel would make of frames, in pieces of any size.

use observer_ebpf::record::{
    CONTINUATION, Close, DATA, DataCount, Direction, END_STREAM, GOAWAY, HEADERS, Kind, MAX_HEADER_BLOCK,
    PUSH_PROMISE, RST_STREAM, Record, SETTINGS, delivered_length,
};

use super::{EMPTY, Frame};

#[derive(Debug)]
pub struct Kernel {
    /// Bytes of a record's payload at most.
    piece: usize,
    halves: [Half; 2],
}

#[derive(Debug, Default)]
struct Half {
    sequence: u32,
    data: DataCount,
    /// Header bytes of the open block so far.
    block: usize,
}

impl Kernel {
    #[must_use]
    pub fn new(piece: usize) -> Self {
        Self {
            piece,
            halves: [Half::default(), Half::default()],
        }
    }

    /// The records of one frame.
    pub fn frame(&mut self, direction: Direction, frame: &Frame, time: u64) -> Vec<(Record, Vec<u8>)> {
        let length = u32::try_from(frame.payload.len()).expect("a frame's length");
        let head = Record {
            frame_type: frame.frame_type,
            flags: frame.flags,
            stream: frame.stream,
            length,
            ..EMPTY
        };
        if frame.frame_type == DATA {
            return self.data(direction, frame, time);
        }
        let delivered = self.delivered(direction, frame);
        let is_told = matches!(
            frame.frame_type,
            HEADERS | CONTINUATION | PUSH_PROMISE | SETTINGS | RST_STREAM | GOAWAY
        );
        if !is_told {
            return Vec::new();
        }
        let mut records = Vec::new();
        let mut offset = 0;
        for piece in frame.payload[..delivered]
            .chunks(self.piece)
            .chain((delivered == 0).then_some(&[][..]))
        {
            let ends = frame.frame_type == RST_STREAM || frame.flags & END_STREAM != 0;
            let record = Record {
                kind: Kind::Frame as u8,
                offset,
                payload: piece.len() as u32,
                ..head
            };
            records.push((self.stamp(direction, record, time, ends), piece.to_vec()));
            offset += piece.len() as u32;
        }
        records
    }

    /// How much of a frame is delivered: of a block above the ceiling nothing.
    fn delivered(&mut self, direction: Direction, frame: &Frame) -> usize {
        let block = &mut self.halves[direction as usize].block;
        match frame.frame_type {
            HEADERS | PUSH_PROMISE => *block = frame.payload.len(),
            CONTINUATION => *block += frame.payload.len(),
            _ => return delivered_length(frame.frame_type, frame.payload.len() as u32) as usize,
        }
        if *block > MAX_HEADER_BLOCK as usize {
            0
        } else {
            frame.payload.len()
        }
    }

    /// A record without payload: a gap, an end.
    pub fn event(&mut self, direction: Direction, kind: Kind, what: u8, time: u64) -> (Record, Vec<u8>) {
        let record = Record {
            kind: kind as u8,
            frame_type: what,
            ..EMPTY
        };
        // The end of a socket is told outside of the numbers of either direction.
        let is_outside = kind == Kind::Closed && [Close::Gone as u8, Close::Released as u8].contains(&what);
        let record = self.stamp(direction, record, time, true);
        self.halves[direction as usize].sequence -= u32::from(is_outside);
        (record, Vec::new())
    }

    /// Bytes of DATA are kept until something else is told, or another stream has some.
    fn data(&mut self, direction: Direction, frame: &Frame, time: u64) -> Vec<(Record, Vec<u8>)> {
        let mut records = Vec::new();
        let told = Record {
            kind: Kind::Data as u8,
            ..EMPTY
        };
        let half = &mut self.halves[direction as usize];
        if half.data.stream != frame.stream && half.data.stream != 0 {
            records.push((self.stamp(direction, told, time, false), Vec::new()));
        }
        let data = &mut self.halves[direction as usize].data;
        data.stream = frame.stream;
        data.bytes += frame.payload.len() as u32;
        if frame.flags & END_STREAM != 0 {
            let end = Record {
                flags: frame.flags,
                stream: frame.stream,
                ..told
            };
            records.push((self.stamp(direction, end, time, true), Vec::new()));
        }
        records
    }

    fn stamp(&mut self, direction: Direction, record: Record, time: u64, ends: bool) -> Record {
        let data_other = if ends {
            std::mem::take(&mut self.halves[direction.other() as usize].data)
        } else {
            DataCount::default()
        };
        let half = &mut self.halves[direction as usize];
        let sequence = half.sequence;
        half.sequence += 1;
        let data = std::mem::take(&mut half.data);
        Record {
            time,
            sequence,
            direction: direction as u8,
            data,
            data_other,
            connection: 1,
            ..record
        }
    }

    /// Records so far in a direction; those after a join count from 0.
    pub fn forget(&mut self) {
        self.halves = [Half::default(), Half::default()];
    }
}
