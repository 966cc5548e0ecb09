//! From what the walker tells to the records that the kernel programs would write of it.

use observer_ebpf::loss::Loss;
use observer_ebpf::record::{
    Close, DataCount, Direction, END_STREAM, HEADERS, Kind, RST_STREAM, Record, Socket,
};
use observer_ebpf::walker::{Shared, Tell, Walk, What};

/// Where records go.
pub trait Sink {
    /// The next record, with its payload, as it would come out of the ring.
    fn record(&mut self, record: &Record, payload: &[u8]);
    /// What the kernel programs would count.
    fn lost(&mut self, loss: Loss);
}

/// A record without frame and payload. Takes its number from the direction.
fn bare(connection: u64, direction: Direction, walk: &mut Walk, time: u64) -> Record {
    let sequence = walk.sequence;
    walk.sequence = sequence.wrapping_add(1);
    Record {
        connection,
        time,
        sequence,
        kind: 0,
        direction: direction as u8,
        frame_type: 0,
        flags: 0,
        stream: 0,
        length: 0,
        offset: 0,
        payload: 0,
        data: DataCount::default(),
        data_other: DataCount::default(),
    }
}

/// A frame, a count of DATA, or a gap. `walks` are both directions', `bytes` the segment that was walked.
pub(super) fn tell(
    connection: u64,
    direction: Direction,
    walks: [&mut Walk; 2],
    shared: Shared,
    (tell, bytes, time): (&Tell, &[u8], u64),
    sink: &mut impl Sink,
) {
    let [walk, other] = walks;
    let kind = match tell.what {
        What::Frame => Kind::Frame,
        What::Data => Kind::Data,
        _ => Kind::Gap,
    };
    let mut record = Record {
        kind: kind as u8,
        frame_type: tell.frame_type,
        flags: tell.flags,
        stream: tell.stream,
        length: tell.length,
        offset: tell.offset,
        payload: tell.piece,
        ..bare(connection, direction, walk, time)
    };
    if tell.offset == 0 {
        record.data = walk.data;
        walk.data_told(time);
        let is_frame = kind == Kind::Frame;
        let headers = is_frame && tell.frame_type == HEADERS;
        let reset = is_frame && tell.frame_type == RST_STREAM;
        let ends = reset || ((headers || !is_frame) && tell.flags & END_STREAM != 0);
        if ends && shared.requests != direction as u8 + 1 && other.data.stream == tell.stream {
            record.data_other = other.data;
            other.data.bytes = 0;
        }
    }
    if kind == Kind::Gap
        && let Some(loss) = Loss::from_raw(tell.frame_type)
    {
        sink.lost(loss);
    }
    let start = tell.at as usize;
    let payload = bytes.get(start..start + tell.piece as usize).unwrap_or_default();
    sink.record(&record, payload);
}

/// The place was lost outside of the walk.
pub(super) fn gap(
    connection: u64,
    direction: Direction,
    walk: &mut Walk,
    time: u64,
    loss: Loss,
    sink: &mut impl Sink,
) {
    sink.lost(loss);
    let record = Record {
        kind: Kind::Gap as u8,
        frame_type: loss as u8,
        ..bare(connection, direction, walk, time)
    };
    sink.record(&record, &[]);
}

/// A direction has ended.
pub(super) fn closed(
    connection: u64,
    direction: Direction,
    walk: &mut Walk,
    time: u64,
    close: Close,
    sink: &mut impl Sink,
) {
    let data = walk.data;
    walk.data_told(time);
    let record = Record {
        kind: Kind::Closed as u8,
        frame_type: close as u8,
        data,
        ..bare(connection, direction, walk, time)
    };
    sink.record(&record, &[]);
}

/// Nothing more will come; not numbered.
pub(super) fn gone(connection: u64, time: u64, sink: &mut impl Sink) {
    let record = Record {
        kind: Kind::Closed as u8,
        frame_type: Close::Gone as u8,
        ..bare(connection, Direction::Ingress, &mut Walk::default(), time)
    };
    sink.record(&record, &[]);
}

/// The connection itself.
pub(super) fn announce(
    connection: u64,
    direction: Direction,
    walk: &mut Walk,
    time: u64,
    socket: &Socket,
    sink: &mut impl Sink,
) {
    let payload = crate::event::encode_socket(socket);
    let record = Record {
        kind: Kind::Socket as u8,
        payload: u32::try_from(payload.len()).unwrap_or_default(),
        ..bare(connection, direction, walk, time)
    };
    sink.record(&record, &payload);
}
