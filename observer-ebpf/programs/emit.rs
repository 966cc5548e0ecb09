//! What is told of a connection: records of its frames, gaps, ends, and of itself.

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_skb_cgroup_id};
use observer_ebpf::connection::{Connection, Half, anew, announced};
use observer_ebpf::loss::Loss;
use observer_ebpf::record::{
    Close, DataCount, Direction, END_STREAM, HEADERS, Kind, RST_STREAM, Record, Socket,
};
use observer_ebpf::walker::head::Head;
use observer_ebpf::walker::{SHORT_BLOCK, Shared, Tell, Walk, What};

use crate::address::addresses;
use crate::maps::{GONE, OWNERS, count, half, locked};
use crate::ring::{LARGE, MEDIUM, SMALL, send, send_socket, turn, write};
use crate::source::Bytes;

const _: () = assert!(SHORT_BLOCK as usize <= SMALL);

/// One run's way to the ring, for one direction of one connection.
pub struct Emitter {
    pub skb: *mut __sk_buff,
    /// A pointer, because `walk` and `shared` are borrowed from it at the same time; only other fields are touched
    /// through it.
    pub connection: *mut Connection,
    pub direction: Direction,
}

impl Emitter {
    #[inline(always)]
    pub fn new(skb: *mut __sk_buff, connection: *mut Connection, direction: Direction) -> Self {
        Self {
            skb,
            connection,
            direction,
        }
    }

    /// Tells a frame, a DATA count or a gap.
    #[inline(always)]
    pub fn tell<B: Bytes>(&self, half: &mut Half, shared: &Shared, source: &B) {
        let Half { walk, tell, .. } = half;
        tell_step(
            self.cookie(),
            self.direction,
            walk,
            tell,
            shared,
            source,
            |stream| self.take_other(stream),
        );
    }

    /// Tells a header block that goes the short way, and begins at `at`.
    #[inline(always)]
    pub fn tell_block<B: Bytes>(&self, half: &mut Half, shared: &Shared, source: &B, head: Head, at: u32) {
        let walk = &mut half.walk;
        let (connection, time) = (self.cookie(), source.time());
        let sequence = next(walk);
        let data = walk.data;
        let ends = head.flags & END_STREAM != 0 && shared.requests != self.direction as u8 + 1;
        let data_other = if ends {
            self.take_other(head.stream())
        } else {
            DataCount::default()
        };
        let sent = write::<B, SMALL>(source, at, head.length, turn(connection, sequence), || Record {
            kind: Kind::Frame as u8,
            frame_type: HEADERS,
            flags: head.flags,
            stream: head.stream(),
            length: head.length,
            payload: head.length,
            data,
            data_other,
            ..bare(connection, time, sequence, self.direction)
        });
        if !sent {
            count(Loss::RingFull);
        }
        // Also when the record was lost: the gap says so, and a count that stays would be told twice.
        walk.data_told(time);
    }

    /// The place was lost outside of the walk, for want of a run or of room; the caller has counted it.
    #[inline(always)]
    pub fn gap(&self, walk: &mut Walk, time: u64, loss: Loss) {
        say!(
            "connection {}: gap in direction {}, loss {}",
            self.cookie(),
            self.direction as u8,
            loss as u8
        );
        tell_gap(self.cookie(), self.direction, walk, time, loss);
    }

    /// This direction has ended.
    #[inline(always)]
    pub fn closed(&self, walk: &mut Walk, time: u64, close: Close) {
        let record = Record {
            kind: Kind::Closed as u8,
            frame_type: close as u8,
            data: walk.data,
            ..bare(self.cookie(), time, next(walk), self.direction)
        };
        walk.data_told(time);
        if !send(record) {
            count(Loss::RingFull);
        }
    }

    #[inline(always)]
    pub fn announced(&self) -> u8 {
        // SAFETY: storage lives as long as the run.
        unsafe { (*self.connection).announced }
    }

    #[inline(always)]
    pub fn set_announced(&self, announced: u8) {
        // SAFETY: as above. Both directions may write; a `Socket` record too many does no harm.
        unsafe { (*self.connection).announced = announced };
        if announced == announced::YES {
            // SAFETY: as above.
            unsafe { (*self.connection).told = 1 };
        }
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        // SAFETY: storage lives as long as the run.
        unsafe { (*self.connection).cookie }
    }

    /// Tells of the connection; false: the ring is full.
    #[inline(always)]
    pub fn announce(&self, walk: &mut Walk, shared: &Shared, time: u64) -> bool {
        let record = Record {
            kind: Kind::Socket as u8,
            payload: size_of::<Socket>() as u32,
            ..bare(self.cookie(), time, next(walk), self.direction)
        };
        say!(
            "connection {}: protocol {}, joined {}, requests {}",
            self.cookie(),
            shared.protocol,
            shared.joined,
            shared.requests
        );
        let socket = self.socket(shared);
        let sent = send_socket(record, socket);
        if !sent {
            count(Loss::RingFull);
        }
        sent
    }

    #[inline(always)]
    fn socket(&self, shared: &Shared) -> Socket {
        // SAFETY: the context and its socket are valid for the whole run, and so is storage.
        let (sk, cgroup, role) = unsafe {
            (
                (*self.skb).__bindgen_anon_2.sk,
                bpf_skb_cgroup_id(self.skb),
                (*self.connection).role,
            )
        };
        let mut socket = Socket {
            cgroup,
            local: [0; 16],
            remote: [0; 16],
            local_port: 0,
            remote_port: 0,
            process: 0,
            command: [0; 16],
            protocol: shared.protocol,
            role,
            joined: shared.joined,
            requests: shared.requests,
            reserved: [0; 4],
        };
        if !sk.is_null() {
            // SAFETY: null or live storage; written once, before the socket has traffic.
            if let Some(owner) = unsafe { OWNERS.get(sk.cast()).as_ref() } {
                socket.process = owner.process;
                socket.command = owner.command;
            }
            addresses(sk, &mut socket);
        }
        socket
    }

    /// The DATA count of the other direction, if it is of `stream` and nobody is counting there right now.
    #[inline(always)]
    fn take_other(&self, stream: u32) -> DataCount {
        let direction = self.direction;
        locked(self.connection, |halves| {
            let other = half(halves, direction.other());
            let told = other.walk.data;
            if other.busy != 0 || told.stream != stream {
                return DataCount::default();
            }
            other.walk.data.bytes = 0;
            told
        })
    }

    #[inline(always)]
    pub fn reopen_other(&self) {
        let direction = self.direction;
        locked(self.connection, |halves| {
            half(halves, direction.other()).anew = anew::REOPEN;
        });
    }
}

/// Tells a frame, a DATA count or a gap: the one place where records of the stream are written. `take_other` takes the
/// DATA count of the other direction, if it is of that stream.
#[inline(always)]
pub fn tell_step<B: Bytes>(
    connection: u64,
    direction: Direction,
    walk: &mut Walk,
    tell: &Tell,
    shared: &Shared,
    source: &B,
    take_other: impl FnOnce(u32) -> DataCount,
) {
    let time = source.time();
    let sequence = next(walk);
    let first = tell.offset == 0;
    let frame = tell.what as u8 == What::Frame as u8;
    let headers = frame && tell.frame_type == HEADERS;
    let reset = frame && tell.frame_type == RST_STREAM;
    let ends = reset || ((headers || !frame) && tell.flags & END_STREAM != 0);
    let data_other = if first && ends && shared.requests != direction as u8 + 1 {
        take_other(tell.stream)
    } else {
        DataCount::default()
    };
    let data = if first { walk.data } else { DataCount::default() };
    let record = || Record {
        connection,
        time,
        sequence,
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
        data,
        data_other,
    };
    let turn = turn(connection, sequence);
    let sent = if tell.piece <= SMALL as u32 {
        write::<B, SMALL>(source, tell.at, tell.piece, turn, record)
    } else if tell.piece <= MEDIUM as u32 {
        write::<B, MEDIUM>(source, tell.at, tell.piece, turn, record)
    } else {
        write::<B, LARGE>(source, tell.at, tell.piece, turn, record)
    };
    if !sent {
        count(Loss::RingFull);
    }
    if tell.offset == 0 {
        // Also when the record was lost: the gap says so, and a count that stays would be told twice.
        walk.data_told(time);
    }
}

/// Tells what was counted of DATA so far.
#[inline(always)]
pub fn tell_data(connection: u64, direction: Direction, walk: &mut Walk, time: u64) {
    let record = Record {
        kind: Kind::Data as u8,
        data: walk.data,
        ..bare(connection, time, next(walk), direction)
    };
    walk.data_told(time);
    if !send(record) {
        count(Loss::RingFull);
    }
}

/// The place in a direction was lost; the caller has counted it.
#[inline(always)]
pub fn tell_gap(connection: u64, direction: Direction, walk: &mut Walk, time: u64, loss: Loss) {
    let record = Record {
        kind: Kind::Gap as u8,
        frame_type: loss as u8,
        ..bare(connection, time, next(walk), direction)
    };
    if !send(record) {
        count(Loss::RingFull);
    }
}

/// The number of the record about to be written.
#[inline(always)]
pub fn next(walk: &mut Walk) -> u32 {
    let sequence = walk.sequence;
    walk.sequence = sequence.wrapping_add(1);
    sequence
}

/// A record without frame and payload.
#[inline(always)]
pub fn bare(connection: u64, time: u64, sequence: u32, direction: Direction) -> Record {
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

/// Tells the end of a connection by its name alone.
#[inline(always)]
pub fn end_of(name: u64, close: Close) {
    // SAFETY: the clock has no preconditions.
    let time = unsafe { bpf_ktime_get_ns() };
    let record = Record {
        kind: Kind::Closed as u8,
        frame_type: close as u8,
        ..bare(name, time, 0, Direction::Ingress)
    };
    if !send(record) {
        count(Loss::RingFull);
        // Nothing else will ever be told of this socket.
        let _ = GONE.push(name, 0);
    }
}

/// Tells the end of a connection, outside of its numbered records: whoever walks may be walking still.
#[inline(always)]
pub fn end(connection: &mut Connection, close: Close) {
    say!("connection {}: ended, {}", connection.cookie, close as u8);
    // What was in order and found no run will find none any more. Read without the lock: one that is walking it right
    // now has taken the mark away.
    for half in &connection.halves {
        if half.left != 0 {
            count(Loss::TooManyFrames);
        }
    }
    end_of(connection.cookie, close);
    // One that was released may still tell what is in its send queue, and where that ends.
    if close as u8 != Close::Released as u8 {
        connection.told = 0;
    }
}
