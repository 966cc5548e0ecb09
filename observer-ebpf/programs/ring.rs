//! The ring: records reserved, filled and submitted, with the daemon woken only when much waits.

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::{
    bpf_ringbuf_discard, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
};
use core::ffi::c_void;
use core::ptr::from_ref;
use observer_ebpf::record::{MAX_PIECE, Record, Socket};

use crate::maps::RECORDS;
use crate::source::{Bytes, bounded};

/// Bytes that wait in the ring when the daemon is woken before its time: half of the ring. Set by the daemon.
#[unsafe(no_mangle)]
static WAKE_UP_AT: u64 = 1 << 15;

/// Payload room of the three sizes of records. `bpf_ringbuf_reserve` wants constants; most header blocks of
/// gRPC calls are below 100 bytes.
pub const SMALL: usize = 128;
pub const MEDIUM: usize = 768;
pub const LARGE: usize = MAX_PIECE as usize;
const HEAD: usize = size_of::<Record>();

/// Of a connection's records, one of four looks how full the ring is.
const LOOK: u32 = 3;

/// What [`write`] wants to know of a record.
#[inline(always)]
pub fn turn(connection: u64, sequence: u32) -> u32 {
    sequence.wrapping_add(connection as u32)
}

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

    /// `look`: whether the daemon is to be woken if much waits.
    #[inline(always)]
    fn submit(self, look: bool) {
        // SAFETY: the pointer came from a reservation and is not used any more.
        unsafe {
            let full = look
                && bpf_ringbuf_query(ring(), BPF_RB_AVAIL_DATA as u64)
                    >= core::ptr::read_volatile(&raw const WAKE_UP_AT);
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

/// Sends a record without payload.
#[inline(always)]
pub fn send(record: Record) -> bool {
    let Some(entry) = Reservation::new(HEAD) else {
        return false;
    };
    // SAFETY: the reservation has room for the head.
    unsafe { entry.head(record) };
    entry.submit(true);
    true
}

/// Writes a record with `piece` bytes of payload, `ROOM` at most. The head is put together where it belongs. How full
/// the ring is shows as well in one record of a few; whose turn it is, is another one on each connection, as thousands
/// may make their calls in step.
#[inline(always)]
pub fn write<B: Bytes, const ROOM: usize>(
    source: &B,
    at: u32,
    piece: u32,
    turn: u32,
    record: impl FnOnce() -> Record,
) -> bool {
    let Some(entry) = Reservation::new(HEAD + ROOM) else {
        return false;
    };
    // SAFETY: the reservation has room for the head.
    unsafe { entry.head(record()) };
    if piece > 0 {
        // The verifier has to see the bound on the very register that is the length.
        let length = bounded::<ROOM>(piece);
        // SAFETY: there is room for `ROOM` bytes behind the head.
        if !unsafe { source.copy(at, entry.0.add(HEAD), length) } {
            entry.discard();
            return false;
        }
    }
    entry.submit(turn & LOOK == 0);
    true
}

/// Sends the record that tells of a connection.
#[inline(always)]
pub fn send_socket(record: Record, socket: Socket) -> bool {
    let Some(entry) = Reservation::new(HEAD + size_of::<Socket>()) else {
        return false;
    };
    // SAFETY: the reservation has room for both.
    unsafe {
        entry.head(record);
        entry.0.add(HEAD).cast::<Socket>().write(socket);
    }
    entry.submit(true);
    true
}
