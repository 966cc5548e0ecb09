//! Plaintext inside of processes: walks what a TLS library is handed, or hands out, as `stream` walks packets.
//!
//! The probes (`open_ssl`, `go_tls`) only say which object, which direction and which bytes; from there on all
//! libraries are the same.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_ktime_get_ns, bpf_tail_call,
};
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;
use core::ffi::c_void;
use core::ptr::from_ref;
use observer_ebpf::connection::announced;
use observer_ebpf::loss::Loss;
use observer_ebpf::plaintext::{PlainHalf, Plaintext, Run};
use observer_ebpf::record::{DataCount, Direction, Kind, Record, Socket};
use observer_ebpf::walker::{Shared, What, step_frames, step_outside};

use crate::emit::{bare, next, tell_data, tell_gap, tell_step};
use crate::maps::{OBJECTS, PLAINTEXT, Plain, RUNS, count};
use crate::ring::send_socket;
use crate::tie;
use crate::user::{UserBytes, thread};
use crate::walk::{Went, forget};

/// Steps of one run; 33 runs follow each other at most. A chunk is a TLS record or so, of 16 KiB.
const FRAMES: u32 = 24;
const OUTSIDE: u32 = 16;

#[inline(always)]
pub fn half(object: &mut Plaintext, direction: Direction) -> &mut PlainHalf {
    let [ingress, egress] = &mut object.halves;
    match direction {
        Direction::Ingress => ingress,
        Direction::Egress => egress,
    }
}

/// Both halves, that of `direction` first, and what they share.
#[inline(always)]
fn parts(object: &mut Plaintext, direction: Direction) -> (&mut PlainHalf, &mut PlainHalf, &mut Shared) {
    let Plaintext {
        shared,
        halves: [ingress, egress],
        ..
    } = object;
    match direction {
        Direction::Ingress => (ingress, egress, shared),
        Direction::Egress => (egress, ingress, shared),
    }
}

/// Walks `length` bytes at `buffer`.
#[inline(always)]
pub fn run(context: *mut c_void, object: *mut Plaintext, direction: Direction, buffer: u64, length: u32) {
    if length == 0 {
        return;
    }
    // SAFETY: live map memory; each direction of an object is used by one thread at a time.
    let object = unsafe { &mut *object };
    // SAFETY: the clock has no preconditions.
    let time = unsafe { bpf_ktime_get_ns() };
    let run = Run {
        key: object.key,
        direction: u32::from(direction as u8),
        resume: 0,
    };
    if object.announced == announced::FAILED {
        // The ring was full; tried again.
        object.announced = announced::NO;
    }
    let half = half(object, direction);
    half.take(buffer, length, time);
    let frames = half.walk.in_frames() && half.lost == 0;
    if RUNS.insert(thread(), run, 0).is_err() {
        half.lost = 1;
        return count(Loss::NoMemory);
    }
    go_on(context, if frames { Plain::Walk } else { Plain::Open });
    half.lost = 1;
    count(Loss::TooManyFrames);
    let _ = RUNS.remove(thread());
}

#[inline(always)]
fn go_on(context: *mut c_void, next: Plain) {
    // SAFETY: the context and the map are valid.
    unsafe { bpf_tail_call(context, from_ref(&PLAINTEXT).cast_mut().cast(), next as u32) };
}

/// What this thread's run is about, and its object.
#[inline(always)]
fn at_hand() -> Option<(*mut Run, *mut Plaintext)> {
    let run = RUNS.get_ptr_mut(thread())?;
    // SAFETY: the entry is this thread's own.
    let object = OBJECTS.get_ptr_mut(unsafe { (*run).key })?;
    Some((run, object))
}

/// A program that goes on with a run.
macro_rules! goes_on {
    ($($(#[$doc:meta])* $name:ident = $act:ident;)*) => {
        $(
            $(#[$doc])*
            #[uprobe]
            #[inline(always)]
            pub fn $name(context: ProbeContext) -> u32 {
                if let Some((run, object)) = at_hand() {
                    // SAFETY: the run is this thread's own; each direction of an object is used by one thread at a time.
                    let (run, object) = unsafe { (&mut *run, &mut *object) };
                    // Each way with its direction known, for the verifier.
                    if run.direction == u32::from(Direction::Ingress as u8) {
                        $act(context.as_ptr(), run, object, Direction::Ingress);
                    } else {
                        $act(context.as_ptr(), run, object, Direction::Egress);
                    }
                }
                0
            }
        )*
    };
}

goes_on! {
    /// Goes on with the frames of the chunk.
    plain_walk = walk;
    /// The same with what is no frame.
    plain_open = open;
    /// Tells of the connection, and goes on with the program that found it untold.
    plain_announce = announce_and_resume;
}

#[inline(always)]
fn announce_and_resume(context: *mut c_void, run: &mut Run, object: &mut Plaintext, direction: Direction) {
    if object.id == 0 {
        object.id = tie::find(object);
    }
    announce(object, direction);
    let walk = run.resume == Plain::Walk as u32;
    go_on(context, if walk { Plain::Walk } else { Plain::Open });
    give_up(object, direction);
}

#[inline(always)]
fn walk(context: *mut c_void, run: &mut Run, object: &mut Plaintext, direction: Direction) {
    let went = frames(object, direction);
    carry_on(context, run, object, direction, went);
}

#[inline(always)]
fn frames(object: &mut Plaintext, direction: Direction) -> Went {
    let id = object.id;
    for _ in 0..FRAMES {
        if half(object, direction).walk.in_frames() {
            if object.announced == announced::NO {
                return Went::Unannounced;
            }
        } else {
            return Went::Outside;
        }
        let (plain, _, shared) = parts(object, direction);
        let source = source(plain);
        plain.tell = step_frames(&mut plain.walk, shared, direction, &source);
        forget();
        match plain.tell.what {
            What::Done => return Went::Done,
            What::Nothing => {}
            What::Protocol => {
                object.announced = announced::NO;
                return Went::Unannounced;
            }
            _ => tell(object, id, direction),
        }
        forget();
        if half(object, direction).unreadable != 0 {
            return Went::Outside;
        }
    }
    Went::Frames
}

/// Tells what the step has found.
#[inline(always)]
fn tell(object: &mut Plaintext, id: u64, direction: Direction) {
    let (own, _, shared) = parts(object, direction);
    let source = source(own);
    let PlainHalf { walk, tell, .. } = own;
    // The other direction may be walked right now, and probes have no locks: it tells its own count (see `tell_count`).
    tell_step(id, direction, walk, tell, shared, &source, |_| {
        DataCount::default()
    });
}

/// What was counted of a request's DATA is told with its chunk: when the response ends, its end and that count may be of two
/// threads at once.
#[inline(always)]
fn tell_count(object: &mut Plaintext, direction: Direction) {
    let id = object.id;
    let (own, _, shared) = parts(object, direction);
    if shared.requests == direction as u8 + 1 && own.walk.in_frames() && own.walk.data.bytes > 0 {
        tell_data(id, direction, &mut own.walk, own.chunk.time);
    }
}

#[inline(always)]
fn source(half: &mut PlainHalf) -> UserBytes {
    UserBytes {
        chunk: half.chunk,
        unreadable: &raw mut half.unreadable,
    }
}

#[inline(always)]
fn open(context: *mut c_void, run: &mut Run, object: &mut Plaintext, direction: Direction) {
    if half(object, direction).lost != 0 || half(object, direction).unreadable != 0 {
        lose(object, direction);
    }
    let went = outside(object, direction);
    carry_on(context, run, object, direction, went);
}

#[inline(always)]
fn outside(object: &mut Plaintext, direction: Direction) -> Went {
    for _ in 0..OUTSIDE {
        let id = object.id;
        let (plain, _, shared) = parts(object, direction);
        if plain.walk.in_frames() {
            return Went::Frames;
        }
        let source = source(plain);
        plain.tell = step_outside(&mut plain.walk, shared, direction, &source);
        forget();
        match plain.tell.what {
            What::Protocol if shared.settled == 0 => {
                object.announced = announced::NO;
                return Went::Unannounced;
            }
            What::Gap => {
                count(Loss::ImplausibleFrame);
                let plain = half(object, direction);
                tell_gap(
                    id,
                    direction,
                    &mut plain.walk,
                    plain.chunk.time,
                    Loss::ImplausibleFrame,
                );
            }
            What::Done | What::Protocol => return Went::Done,
            // HTTP/1 within TLS is not left for HTTP/2: that is agreed on by ALPN.
            _ => {}
        }
        forget();
        if half(object, direction).unreadable != 0 {
            lose(object, direction);
            return Went::Done;
        }
    }
    Went::Outside
}

/// The chunk ends, or goes on in the program that is right for it.
#[inline(always)]
fn carry_on(context: *mut c_void, run: &mut Run, object: &mut Plaintext, direction: Direction, went: Went) {
    if went as u32 != Went::Done as u32 {
        let next = match went {
            Went::Unannounced => {
                run.resume = if half(object, direction).walk.in_frames() {
                    Plain::Walk
                } else {
                    Plain::Open
                } as u32;
                Plain::Announce
            }
            Went::Frames => Plain::Walk,
            _ => Plain::Open,
        };
        go_on(context, next);
        return give_up(object, direction);
    }
    tell_count(object, direction);
    let _ = RUNS.remove(thread());
}

/// No run is left for the rest of the chunk.
#[inline(always)]
fn give_up(object: &mut Plaintext, direction: Direction) {
    count(Loss::TooManyFrames);
    half(object, direction).lost = 1;
    let _ = RUNS.remove(thread());
}

/// Bytes of the direction were missed.
#[inline(always)]
fn lose(object: &mut Plaintext, direction: Direction) {
    let (id, told) = (object.id, object.announced);
    let plain = half(object, direction);
    let loss = if plain.unreadable != 0 {
        Loss::UnreadableSegment
    } else {
        Loss::NoMemory
    };
    count(loss);
    let next = if plain.unreadable != 0 {
        plain.position
    } else {
        plain.chunk.start
    };
    plain.lost = 0;
    plain.unreadable = 0;
    if told != announced::NO {
        tell_gap(id, direction, &mut plain.walk, plain.chunk.time, loss);
    }
    plain.walk.lose(next);
}

/// Tells of the connection.
#[inline(always)]
fn announce(object: &mut Plaintext, direction: Direction) {
    // SAFETY: none of these has preconditions.
    let (time, cgroup) = unsafe { (bpf_ktime_get_ns(), bpf_get_current_cgroup_id()) };
    let mut socket = Socket {
        cgroup,
        local: [0; 16],
        remote: [0; 16],
        local_port: 0,
        remote_port: 0,
        process: object.key.process,
        command: [0; 16],
        protocol: object.shared.protocol,
        role: 0,
        joined: object.shared.joined,
        requests: object.shared.requests,
        reserved: [0; 4],
    };
    // SAFETY: there is room for 16 bytes.
    unsafe { bpf_get_current_comm((&raw mut socket.command).cast(), 16) };
    let id = object.id;
    let walk = &mut half(object, direction).walk;
    let record = Record {
        kind: Kind::Socket as u8,
        payload: size_of::<Socket>() as u32,
        ..bare(id, time, next(walk), direction)
    };
    object.announced = if send_socket(record, socket) {
        announced::YES
    } else {
        count(Loss::RingFull);
        announced::FAILED
    };
}
