//! Segments that came before their turn: stored where nothing leaves the kernel, walked when the hole before them
//! is filled or the run that was walking has finished.
//!
//! The way of the claim: a run takes `busy` of its direction under the lock and holds it over tail calls. Who finds
//! it taken stores the segment, marks it `ready` under the lock, and leaves; who releases it looks, under the same
//! lock, whether anything became ready meanwhile. So no segment is forgotten and none is walked twice at once.

use aya_ebpf::bindings::{__sk_buff, BPF_ANY};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use observer_ebpf::connection::{Connection, HELD_BYTES, Half, Held, HeldKey, MAX_HELD_SLOTS};
use observer_ebpf::loss::Loss;
use observer_ebpf::record::{Close, Direction};
use observer_ebpf::walker::{Walk, phase};

use crate::claim::{leave, lose_answer, release};
use crate::emit::Emitter;
use crate::maps::{BLANK, HELD, Next, count, half, locked};
use crate::segment::{FIN, Segment};
use crate::source::{HeldSegment, bounded};
use crate::stream::go_on;
use crate::walk::{Went, forget, pass, walk};

/// Parts of one segment: 64 KiB, the most that GRO and GSO make (but for BIG TCP, which counts as a loss).
pub const MAX_PARTS: u32 = 65_536_u32.div_ceil(HELD_BYTES as u32);

/// Also the bits of a slot number.
pub const LAST_SLOT: u32 = MAX_HELD_SLOTS - 1;

/// A slot is shared by segments as long as what it holds, and what comes, is no more than this: half of it, so that
/// the sum fits without a relation between the two that the verifier would have to see.
const MAX_SHARED: u32 = HELD_BYTES as u32 / 2;

/// Stores the segment at hand in as many slots as it needs. Does not hold the claim, except on return `true`: then
/// nobody was walking any more, and the caller has to drain.
#[inline(always)]
pub fn store(connection: *mut Connection, direction: Direction, segment: &Segment) -> bool {
    if append(connection, direction, segment) {
        return true;
    }
    let parts = segment.length.div_ceil(HELD_BYTES as u32).max(1);
    let slots = locked(connection, |halves| {
        let half = half(halves, direction);
        let first = half.used & LAST_SLOT;
        let slots = round(parts, first);
        if parts > MAX_PARTS || half.taken & slots != 0 {
            return None;
        }
        half.taken |= slots;
        half.used = first + parts;
        Some((first, slots))
    });
    let end = segment.start.wrapping_add(segment.length);
    let Some((first, slots)) = slots else {
        return give_up(connection, direction, Loss::HoldExceeded, end);
    };
    // SAFETY: storage lives as long as the run; whoever writes `hold` writes the same.
    let hold = unsafe { (*connection).hold };
    let mut ready = 0_u64;
    for part in 0..MAX_PARTS {
        if part >= parts {
            break;
        }
        let slot = (first + part) & LAST_SLOT;
        if store_part(HeldKey::new(hold, direction, slot), segment, part, parts) {
            ready |= 1 << slot;
        }
    }
    if ready != slots {
        count(Loss::NoMemory);
    }
    locked(connection, |halves| {
        let half = half(halves, direction);
        half.taken &= !slots | ready;
        half.ready |= ready;
        if ready != slots {
            // Without it, all that follows would wait for what nobody sends again.
            half.lose(Loss::NoMemory, end);
        }
        half.claim()
    })
}

/// Adds the segment to the slot that was given out last, if it continues what is there: behind a hole, segments come in
/// order again, and many small ones would use up all slots. On return `true` the claim is held.
#[inline(always)]
fn append(connection: *mut Connection, direction: Direction, segment: &Segment) -> bool {
    let last = locked(connection, |halves| {
        let half = half(halves, direction);
        let last = half.used.wrapping_sub(1) & LAST_SLOT;
        // Nobody reads it as long as the claim is ours.
        if half.ready >> last & 1 != 0 && half.claim() {
            last
        } else {
            MAX_HELD_SLOTS
        }
    });
    if last == MAX_HELD_SLOTS {
        return false;
    }
    // SAFETY: storage lives as long as the run; whoever writes `hold` writes the same.
    let hold = unsafe { (*connection).hold };
    let appended = match HELD.get_ptr_mut(HeldKey::new(hold, direction, last)) {
        // SAFETY: by the claim, nobody else touches it.
        Some(held) => continue_with(unsafe { &mut *held }, segment),
        None => false,
    };
    if !appended {
        // Whoever could not claim meanwhile has stored, and this run drains when it has stored too.
        locked(connection, |halves| half(halves, direction).busy = 0);
    }
    appended
}

/// Copies the segment behind what is held, if that is where it belongs and there is room. It passes for as old as the
/// first.
#[inline(always)]
fn continue_with(held: &mut Held, segment: &Segment) -> bool {
    let (at, length) = (held.length, segment.length);
    let continues = held.fin == 0 && held.start.wrapping_add(at) == segment.start;
    if !continues || at == 0 || at > MAX_SHARED || length == 0 || length > MAX_SHARED {
        return false;
    }
    // SAFETY: both are half of the room at most.
    let copied = unsafe {
        let target = held
            .bytes
            .as_mut_ptr()
            .add(bounded::<{ MAX_SHARED as usize }>(at) as usize);
        segment.copy(0, target, bounded::<{ MAX_SHARED as usize }>(length))
    };
    if copied {
        held.length = at + length;
        held.fin = u32::from(segment.flags & FIN != 0);
    }
    copied
}

/// `parts` slots from `first` on, going round, as bits. Going round matters: while one CPU drains, another may store
/// without a pause, and slots that could only be used again when none waits any more would run out.
#[inline(always)]
fn round(parts: u32, first: u32) -> u64 {
    let slots = (1_u64 << (parts & LAST_SLOT)) - 1;
    slots << first | slots >> 1 >> (LAST_SLOT - first)
}

#[inline(always)]
fn store_part(key: HeldKey, segment: &Segment, part: u32, parts: u32) -> bool {
    let Some(blank) = BLANK.get_ptr(0) else {
        return false;
    };
    // SAFETY: the blank is never written, and the entry made from it belongs to this run until it is marked ready.
    let held = unsafe {
        if HELD.insert(key, &*blank, BPF_ANY as u64).is_err() {
            return false;
        }
        let Some(held) = HELD.get_ptr_mut(key) else {
            return false;
        };
        &mut *held
    };
    fill(held, segment, part, parts)
}

/// Copies one part of the segment into `held`.
#[inline(always)]
pub fn fill(held: &mut Held, segment: &Segment, part: u32, parts: u32) -> bool {
    let at = part * HELD_BYTES as u32;
    let left = segment.length.saturating_sub(at);
    let length = if left > HELD_BYTES as u32 {
        HELD_BYTES as u32
    } else {
        left
    };
    held.time = segment.time;
    held.start = segment.start.wrapping_add(at);
    held.length = length;
    held.parts = parts;
    held.fin = u32::from(segment.flags & FIN != 0 && part + 1 == parts);
    // SAFETY: the value has room for `HELD_BYTES`.
    length == 0 || unsafe { segment.copy(at, held.bytes.as_mut_ptr(), bounded::<HELD_BYTES>(length)) }
}

/// The segment cannot wait: the walker gives up what is missing before it, and looks for a boundary behind it. So does
/// whoever has the claim, at the latest when it is given back; on return `true` that is the caller.
#[inline(always)]
fn give_up(connection: *mut Connection, direction: Direction, loss: Loss, end: u32) -> bool {
    say!("no room to wait in direction {}, up to {}", direction as u8, end);
    count(loss);
    locked(connection, |halves| {
        let half = half(halves, direction);
        half.lose(loss, end);
        half.claim()
    })
}

/// Tells that the place was given up, unless the walk has passed what was lost meanwhile: it was sent again, or is
/// inside of a body. The claim is held.
#[inline(always)]
fn tell_lost(half: &mut Half, emitter: &Emitter, lost: u8, end: u32) {
    let passed = half.walk.phase != phase::NEW && behind(half.walk.next, end);
    if half.walk.phase == phase::IGNORE || passed {
        return;
    }
    let loss = match lost - 1 {
        loss if loss == Loss::NoMemory as u8 => Loss::NoMemory,
        loss if loss == Loss::HoldExceeded as u8 => Loss::HoldExceeded,
        _ => Loss::TooManyFrames,
    };
    // SAFETY: the clock has no preconditions.
    emitter.gap(&mut half.walk, unsafe { bpf_ktime_get_ns() }, loss);
    half.walk.lose(end);
    half.top = end;
}

/// Walks what waits, one slot a run: its frames or, with `OUTSIDE`, what is no frame. The claim is held.
#[inline(always)]
pub fn drain<const OUTSIDE: bool>(
    skb: *mut __sk_buff,
    connection: *mut Connection,
    direction: Direction,
    hook: Direction,
) {
    // SAFETY: the claim is held, so this half is this run's alone but for what is under the lock.
    let (half, shared) = unsafe {
        (
            half(&mut (*connection).halves, direction),
            &mut (*connection).shared,
        )
    };
    // SAFETY: as above.
    let hold = unsafe { (*connection).hold };
    let (ready, lost, end) = locked(connection, |halves| {
        let half = crate::maps::half(halves, direction);
        half.begin_anew_if_told();
        half.left = 0;
        (half.ready, half.take_lost(), half.lost_end)
    });
    if lost != 0 {
        tell_lost(half, &Emitter::new(skb, connection, direction), lost, end);
    }
    half.slot = turn(&half.walk, hold, direction, ready);
    // Forgotten here, or the verifier follows all that comes for each of the slots.
    forget();
    let slot = half.slot;
    if slot == MAX_HELD_SLOTS {
        release(skb, connection, direction, hook, ready);
        return;
    }
    let crossed = direction as u8 != hook as u8;
    let mut next = if crossed { Next::Cross } else { Next::Drain };
    let key = HeldKey::new(hold, direction, slot);
    let mut went = Went::Done;
    if let Some(held) = HELD.get_ptr(key) {
        // SAFETY: a ready entry is not written any more, and only the holder of the claim removes it.
        let held = unsafe { &*held };
        settle_start(&mut half.walk, held.start);
        let source = HeldSegment(held);
        let emitter = Emitter::new(skb, connection, direction);
        went = if OUTSIDE {
            pass::<_, OPEN_HELD>(half, shared, &source, &emitter)
        } else {
            walk::<_, WALK_HELD>(half, shared, &source, &emitter)
        };
        if went as u32 == Went::Done as u32 {
            drained(half, held, &emitter);
        }
    }
    match went {
        Went::Done => {
            let _ = HELD.remove(key);
            locked(connection, |halves| {
                free(crate::maps::half(halves, direction), slot);
            });
        }
        Went::Outside => next = if crossed { Next::CrossOpen } else { Next::DrainOpen },
        Went::Unannounced => {
            half.resume = next as u32;
            next = if crossed {
                Next::CrossAnnounce
            } else {
                Next::Announce
            };
        }
        Went::Frames => {}
    }
    go_on(skb, hook, next);
    leave(connection, direction);
    if crossed {
        lose_answer(connection);
    }
}

/// The slot whose turn it is; [`MAX_HELD_SLOTS`]: none.
#[inline(always)]
fn turn(walk: &Walk, hold: u64, direction: Direction, ready: u64) -> u32 {
    // What came before the connection did waits until that is told where it begins.
    let ready = if walk.phase == phase::NEW { 0 } else { ready };
    for slot in 0..MAX_HELD_SLOTS {
        if ready >> slot & 1 == 0 {
            continue;
        }
        let Some(held) = HELD.get_ptr(HeldKey::new(hold, direction, slot)) else {
            return slot;
        };
        // SAFETY: a ready entry is not written any more.
        if !walk.needs_order() || behind(walk.next, unsafe { (*held).start }) {
            return slot;
        }
    }
    MAX_HELD_SLOTS
}

/// A held segment has been walked.
#[inline(always)]
fn drained(half: &mut Half, held: &Held, emitter: &Emitter) {
    let end = held.start.wrapping_add(held.length);
    if behind(end, half.top) {
        half.top = end;
    }
    if held.fin != 0 && half.finished == 0 {
        half.finished = 1;
        emitter.closed(&mut half.walk, held.time, Close::Fin);
    }
}

/// Gives a slot back. Under the lock.
#[inline(always)]
fn free(half: &mut Half, slot: u32) {
    let others = !(1 << (slot & LAST_SLOT));
    half.ready &= others;
    half.taken &= others;
}

/// Steps in one run of `drain`: through frames, and through what is none. The verifier follows each (6,000 and 9,000
/// instructions); what 33 runs of them do not finish goes on with the next packet.
const WALK_HELD: u32 = 16;
const OPEN_HELD: u32 = 8;

/// Whether `position` is at or behind `start`.
#[inline(always)]
pub fn behind(position: u32, start: u32) -> bool {
    position.wrapping_sub(start).cast_signed() >= 0
}

/// Where order does not matter, the walk begins with what is at hand.
#[inline(always)]
pub fn settle_start(walk: &mut Walk, start: u32) {
    match walk.phase {
        phase::REOPEN => {
            walk.phase = phase::OPENING;
            walk.next = start;
        }
        phase::SEARCH | phase::TRIAL if walk.next != start && !behind(walk.next, start) => walk.lose(start),
        _ => {}
    }
}
