//! Writing records into the ring.

use aya_ebpf::bindings::{__sk_buff, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, bpf_sock};
use aya_ebpf::helpers::generated::{
    bpf_ktime_get_ns, bpf_probe_read_kernel, bpf_ringbuf_discard, bpf_ringbuf_query, bpf_ringbuf_reserve,
    bpf_ringbuf_submit, bpf_skb_cgroup_id,
};
use core::ffi::c_void;
use core::ptr::from_ref;
use observer_ebpf::connection::{Connection, Half, Held};
use observer_ebpf::loss::Loss;
use observer_ebpf::record::{
    Close, DataCount, Direction, END_STREAM, HEADERS, Kind, MAX_PIECE, RST_STREAM, Record, Socket,
};
use observer_ebpf::walker::{Shared, Source, Walk, What};

use crate::maps::{GONE, OWNERS, RECORDS, count, half, locked};
use crate::segment::Segment;

/// Bytes that wait in the ring when the daemon is woken before its time: half of the ring. Set by the daemon.
#[unsafe(no_mangle)]
static WAKE_UP_AT: u64 = 1 << 15;

/// Payload room of the three sizes of records. `bpf_ringbuf_reserve` wants constants; most header blocks of
/// gRPC calls are below 100 bytes.
const SMALL: usize = 128;
const MEDIUM: usize = 768;
const LARGE: usize = MAX_PIECE as usize;
const HEAD: usize = size_of::<Record>();

/// A reservation in the ring, of `HEAD + ROOM` bytes.
struct Reservation(*mut u8);

impl Reservation {
    #[inline(always)]
    fn new(size: usize) -> Option<Self> {
        // SAFETY: the map is a ring buffer. All that is reserved is submitted or discarded below.
        let pointer = unsafe { bpf_ringbuf_reserve(ring(), size as u64, 0) };
        if pointer.is_null() {
            None
        } else {
            Some(Self(pointer.cast()))
        }
    }

    /// # Safety
    /// The reservation must have room for the head.
    #[inline(always)]
    unsafe fn head(&self, record: Record) {
        // SAFETY: by the caller; the kernel aligns reservations to 8.
        unsafe { self.0.cast::<Record>().write(record) };
    }

    #[inline(always)]
    fn submit(self) {
        // SAFETY: the pointer came from a reservation and is not used any more.
        unsafe {
            let waiting = bpf_ringbuf_query(ring(), BPF_RB_AVAIL_DATA as u64);
            let full = waiting >= core::ptr::read_volatile(&raw const WAKE_UP_AT);
            let flags = if full {
                BPF_RB_FORCE_WAKEUP
            } else {
                BPF_RB_NO_WAKEUP
            };
            bpf_ringbuf_submit(self.0.cast(), flags as u64);
        }
    }

    #[inline(always)]
    fn discard(self) {
        // SAFETY: as in `submit`.
        unsafe { bpf_ringbuf_discard(self.0.cast(), BPF_RB_NO_WAKEUP as u64) };
    }
}

#[inline(always)]
fn ring() -> *mut c_void {
    from_ref(&RECORDS).cast_mut().cast()
}

/// What is walked: the packet at hand, or a segment that waited.
pub trait Bytes: Source {
    /// Loads `length` bytes at `at` to `target`.
    ///
    /// # Safety
    /// `target` must have room for them.
    unsafe fn copy(&self, at: u32, target: *mut u8, length: u32) -> bool;
}

impl Bytes for Segment {
    #[inline(always)]
    unsafe fn copy(&self, at: u32, target: *mut u8, length: u32) -> bool {
        // SAFETY: by the caller.
        unsafe { Segment::copy(self, at, target, length) }
    }
}

/// A held segment, in its map.
pub struct HeldSegment<'a>(pub &'a Held);

impl Source for HeldSegment<'_> {
    #[inline(always)]
    fn start(&self) -> u32 {
        self.0.start
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.0.length
    }

    #[inline(always)]
    fn time(&self) -> u64 {
        self.0.time
    }

    #[inline(always)]
    fn load<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        // SAFETY: `bytes` has room for `N` bytes.
        if unsafe { self.copy(at, bytes.as_mut_ptr(), N as u32) } {
            Some(bytes)
        } else {
            None
        }
    }
}

impl Bytes for HeldSegment<'_> {
    #[inline(always)]
    unsafe fn copy(&self, at: u32, target: *mut u8, length: u32) -> bool {
        // SAFETY: the kernel reads without faulting; the caller keeps `at + length` within what is held, and
        // `target` has room by contract.
        unsafe {
            bpf_probe_read_kernel(
                target.cast(),
                length,
                self.0.bytes.as_ptr().add(at as usize).cast(),
            ) == 0
        }
    }
}

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

    /// Tells a frame, a DATA count or a gap: the one place where records of the stream are written.
    #[inline(always)]
    pub fn tell<B: Bytes>(&self, half: &mut Half, shared: &Shared, source: &B) {
        let Half { walk, tell, .. } = half;
        let time = source.time();
        let kind = match tell.what {
            What::Frame => Kind::Frame,
            What::Data => Kind::Data,
            _ => Kind::Gap,
        };
        let frame = tell.what as u8 == What::Frame as u8;
        let mut record = Record {
            connection: self.cookie(),
            time,
            sequence: next(walk),
            kind: kind as u8,
            direction: self.direction as u8,
            frame_type: tell.frame_type,
            flags: tell.flags,
            stream: tell.stream,
            length: tell.length,
            offset: tell.offset,
            payload: tell.piece,
            data: DataCount::default(),
            data_other: DataCount::default(),
        };
        if tell.offset == 0 {
            record.data = walk.data;
            let headers = frame && tell.frame_type == HEADERS;
            let reset = frame && tell.frame_type == RST_STREAM;
            let ends = reset || ((headers || !frame) && tell.flags & END_STREAM != 0);
            if ends && shared.requests != self.direction as u8 + 1 {
                record.data_other = self.take_other(tell.stream);
            }
        }
        let sent = if tell.piece <= SMALL as u32 {
            write::<B, SMALL>(source, tell.at, tell.piece, record)
        } else if tell.piece <= MEDIUM as u32 {
            write::<B, MEDIUM>(source, tell.at, tell.piece, record)
        } else {
            write::<B, LARGE>(source, tell.at, tell.piece, record)
        };
        if !sent {
            count(Loss::RingFull);
        }
        if tell.offset == 0 {
            // Also when the record was lost: the gap says so, and a count that stays would be told twice.
            walk.data_told(time);
        }
    }

    /// The place was lost outside of the walk, for want of a run or of room.
    #[inline(always)]
    pub fn gap(&self, walk: &mut Walk, time: u64, loss: Loss) {
        count(loss);
        say!(
            "connection {}: gap in direction {}, loss {}",
            self.cookie(),
            self.direction as u8,
            loss as u8
        );
        let record = Record {
            kind: Kind::Gap as u8,
            frame_type: loss as u8,
            ..bare(self.cookie(), time, next(walk), self.direction)
        };
        if !send(record) {
            count(Loss::RingFull);
        }
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
        let Some(entry) = Reservation::new(HEAD + size_of::<Socket>()) else {
            count(Loss::RingFull);
            return false;
        };
        // SAFETY: the reservation has room for both.
        unsafe {
            entry.head(record);
            entry.0.add(HEAD).cast::<Socket>().write(socket);
        }
        entry.submit();
        true
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
            half(halves, direction.other()).reopen = 1;
        });
    }
}

/// The number of the record about to be written.
#[inline(always)]
fn next(walk: &mut Walk) -> u32 {
    let sequence = walk.sequence;
    walk.sequence = sequence.wrapping_add(1);
    sequence
}

/// A record without frame and payload.
#[inline(always)]
fn bare(connection: u64, time: u64, sequence: u32, direction: Direction) -> Record {
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

/// Sends a record without payload.
#[inline(always)]
fn send(record: Record) -> bool {
    let Some(entry) = Reservation::new(HEAD) else {
        return false;
    };
    // SAFETY: the reservation has room for the head.
    unsafe { entry.head(record) };
    entry.submit();
    true
}

/// Writes a record with `piece` bytes of payload, `ROOM` at most.
#[inline(always)]
fn write<B: Bytes, const ROOM: usize>(source: &B, at: u32, piece: u32, record: Record) -> bool {
    let Some(entry) = Reservation::new(HEAD + ROOM) else {
        return false;
    };
    // SAFETY: the reservation has room for the head.
    unsafe { entry.head(record) };
    if piece > 0 {
        // The verifier has to see the bound on the very register that is the length.
        let length = bounded::<ROOM>(piece);
        // SAFETY: there is room for `ROOM` bytes behind the head.
        if !unsafe { source.copy(at, entry.0.add(HEAD), length) } {
            entry.discard();
            return false;
        }
    }
    entry.submit();
    true
}

/// `value`, which is known to be 1 to `MOST`, in a form that the verifier believes and the compiler cannot fold.
#[inline(always)]
pub fn bounded<const MOST: usize>(value: u32) -> u32 {
    let mut bounded = u64::from(value);
    // SAFETY: changes nothing but the one register, and not even that for values in range.
    unsafe {
        core::arch::asm!(
            "if {0} > {most} goto +1",
            "if {0} > 0 goto +1",
            "{0} = 1",
            inout(reg) bounded,
            most = const MOST,
        );
    }
    bounded as u32
}

/// Everything is loaded, volatile, before anything is decided: the kernel rewrites loads at constant offsets, and
/// the compiler must not merge two of them into one through a computed pointer.
#[inline(always)]
fn addresses(sk: *mut bpf_sock, socket: &mut Socket) {
    const INET: u32 = 2;
    // SAFETY: the socket is valid for the whole run.
    unsafe {
        let family = (&raw const (*sk).family).read_volatile();
        let local = (&raw const (*sk).src_ip4).read_volatile();
        let remote = (&raw const (*sk).dst_ip4).read_volatile();
        let local_words = [
            (&raw const (*sk).src_ip6[0]).read_volatile(),
            (&raw const (*sk).src_ip6[1]).read_volatile(),
            (&raw const (*sk).src_ip6[2]).read_volatile(),
            (&raw const (*sk).src_ip6[3]).read_volatile(),
        ];
        let remote_words = [
            (&raw const (*sk).dst_ip6[0]).read_volatile(),
            (&raw const (*sk).dst_ip6[1]).read_volatile(),
            (&raw const (*sk).dst_ip6[2]).read_volatile(),
            (&raw const (*sk).dst_ip6[3]).read_volatile(),
        ];
        socket.local_port = (&raw const (*sk).src_port).read_volatile() as u16;
        socket.remote_port = u16::from_be((&raw const (*sk).dst_port).read_volatile());
        let v4 = family == INET;
        socket.local = if v4 { mapped(local) } else { joined(local_words) };
        socket.remote = if v4 { mapped(remote) } else { joined(remote_words) };
    }
}

#[inline(always)]
fn mapped(address: u32) -> [u8; 16] {
    joined([0, 0, 0xffff_u32.to_be(), address])
}

#[inline(always)]
fn joined(words: [u32; 4]) -> [u8; 16] {
    // SAFETY: four words are sixteen bytes.
    unsafe { core::mem::transmute(words) }
}

/// Tells the end of a connection, outside of its numbered records: whoever walks may be walking still.
#[inline(always)]
pub fn end(connection: &Connection, close: Close) {
    say!("connection {}: ended, {}", connection.cookie, close as u8);
    // SAFETY: the clock has no preconditions.
    let time = unsafe { bpf_ktime_get_ns() };
    let record = Record {
        kind: Kind::Closed as u8,
        frame_type: close as u8,
        ..bare(connection.cookie, time, 0, Direction::Ingress)
    };
    if !send(record) {
        count(Loss::RingFull);
        // Nothing else will ever be told of this socket.
        let _ = GONE.push(connection.cookie, 0);
    }
}
