//! The `cgroup_skb` programs: every packet of every socket, both ways.
//!
//! [`entry`] does the usual case in one run: a segment that is next in order, with few frames. What is rare goes on
//! in programs of its own by tail calls, so that the usual case stays small.

use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_tail_call};
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;
use core::ptr::from_ref;
use observer_ebpf::connection::{Connection, announced};
use observer_ebpf::loss::Loss;
use observer_ebpf::record::{Close, Direction, Protocol};
use observer_ebpf::walker::{hide, phase};

use crate::PASS;
use crate::announce::announce;
use crate::birth::settle_birth;
use crate::claim::{claim, leave, release, unclaim};
use crate::emit::Emitter;
use crate::first_sight::first_sight;
use crate::hello;
use crate::hold;
use crate::hold::{behind, settle_start};
use crate::maps::{CONNECTIONS, EGRESS, INGRESS, Next, count, half, locked};
use crate::segment::{FIN, RST, SYN, Segment};
use crate::walk::{Went, pass, walk};

/// Frames walked in the first run and in each further one. 8 cover any single call; 33 runs (the kernel's limit of
/// tail calls) of 40 cover the 64 KiB segment of 50-byte frames.
const WALK_FIRST: u32 = 8;
const WALK_MORE: u32 = 40;
/// Steps outside of frames in one run. They are bytes of a preface or PROXY header, or heads of a trial.
const OPEN: u32 = 16;

/// Every program of the file: attribute, name, and the call that it is.
macro_rules! programs {
    ($($(#[$doc:meta])* $hook:ident $name:ident = $body:expr;)*) => {
        $(
            $(#[$doc])*
            #[cgroup_skb($hook)]
            #[inline(always)]
            pub fn $name(context: SkBuffContext) -> i32 {
                let body: fn(*mut __sk_buff) = $body;
                body(context.skb.skb);
                PASS
            }
        )*
    };
}

programs! {
    ingress ingress = |skb| entry(skb, Direction::Ingress);
    ingress ingress_walk = |skb| frames(skb, Direction::Ingress);
    ingress ingress_open = |skb| outside(skb, Direction::Ingress);
    ingress ingress_announce = |skb| announce(skb, Direction::Ingress, Direction::Ingress);
    ingress ingress_store = |skb| store(skb, Direction::Ingress);
    ingress ingress_drain = |skb| drain::<false>(skb, Direction::Ingress, Direction::Ingress);
    ingress ingress_drain_open = |skb| drain::<true>(skb, Direction::Ingress, Direction::Ingress);
    egress egress = |skb| entry(skb, Direction::Egress);
    egress egress_walk = |skb| frames(skb, Direction::Egress);
    egress egress_open = |skb| outside(skb, Direction::Egress);
    egress egress_announce = |skb| announce(skb, Direction::Egress, Direction::Egress);
    egress egress_store = |skb| store(skb, Direction::Egress);
    egress egress_drain = |skb| drain::<false>(skb, Direction::Egress, Direction::Egress);
    egress egress_drain_open = |skb| drain::<true>(skb, Direction::Egress, Direction::Egress);
    /// Data of the handshake waits while the first answer leaves.
    egress egress_cross = |skb| drain::<false>(skb, Direction::Ingress, Direction::Egress);
    egress egress_cross_open = |skb| drain::<true>(skb, Direction::Ingress, Direction::Egress);
    egress egress_cross_announce = |skb| announce(skb, Direction::Ingress, Direction::Egress);
}

/// Goes on with another program of the hook. Returns only if the kernel's limit of tail calls is reached.
#[inline(always)]
pub fn go_on(skb: *mut __sk_buff, hook: Direction, next: Next) {
    let programs = match hook {
        Direction::Ingress => from_ref(&INGRESS),
        Direction::Egress => from_ref(&EGRESS).cast(),
    };
    // SAFETY: the context and the map are valid.
    unsafe { bpf_tail_call(skb.cast(), programs.cast_mut().cast(), next as u32) };
}

/// The socket of the packet; null where it has none.
#[inline(always)]
pub fn socket(skb: *mut __sk_buff) -> *mut bpf_sock {
    // SAFETY: the context is valid for the whole run.
    unsafe { (*skb).__bindgen_anon_2.sk }
}

#[inline(always)]
fn entry(skb: *mut __sk_buff, direction: Direction) {
    let sk = socket(skb);
    if sk.is_null() {
        return;
    }
    let connection = CONNECTIONS.get(sk.cast());
    if connection.is_null() {
        return first_sight(skb, sk, direction);
    }
    // SAFETY: storage lives as long as the run. `settled` goes from 0 to 1 once; reading it early costs nothing.
    let (settled, announced) = unsafe { ((*connection).shared.settled, (*connection).announced) };
    if settled != 0 && announced == announced::YES {
        return;
    }
    let Some(segment) = Segment::parse(skb) else {
        return count(Loss::UnreadableSegment);
    };
    // What waits on ingress and is in order goes before the answer to it: data that came with the handshake, or more than
    // the packets so far had runs for. What waits behind a hole is no business of this hook.
    // SAFETY: as above; it is read without the lock, and only says whether to look.
    let [waiting, own] = unsafe {
        let [ingress, egress] = &(*connection).halves;
        match direction {
            Direction::Ingress => [0, ingress.left],
            Direction::Egress => [ingress.left, egress.left],
        }
    };
    if waiting != 0 && claim(connection, Direction::Ingress) {
        go_on(skb, Direction::Egress, Next::Cross);
        unclaim(connection, Direction::Ingress);
    }
    if segment.length == 0 && segment.flags & (FIN | SYN | RST) == 0 {
        if own != 0 && claim(connection, direction) {
            go_on(skb, direction, Next::Drain);
            unclaim(connection, direction);
        }
        return;
    }
    if is_passed(connection, direction, &segment) {
        return;
    }
    packet(skb, connection, direction, segment);
}

/// Whether there is nothing in the segment that anybody waits for: the inside of a body, most of all. Read without
/// the claim: where the walker has been it does not go again, and if it loses its place right now, then this is not
/// the segment at which it finds one. A socket that the kernel does not watch has to know how far it got.
#[inline(always)]
fn is_passed(connection: *mut Connection, direction: Direction, segment: &Segment) -> bool {
    // SAFETY: storage lives as long as the run.
    unsafe {
        let half = match direction {
            Direction::Ingress => &raw const (*connection).halves[0],
            Direction::Egress => &raw const (*connection).halves[1],
        };
        let next = (&raw const (*half).walk.next).read_volatile();
        let phase = (&raw const (*half).walk.phase).read_volatile();
        let end = segment.start.wrapping_add(segment.length);
        segment.flags & (FIN | SYN | RST) == 0
            && phase == phase::HEAD
            && behind(next, end)
            && (*connection).watched != 0
    }
}

/// A packet with something to walk, or that changes the connection.
#[inline(always)]
fn packet(skb: *mut __sk_buff, connection: *mut Connection, direction: Direction, segment: Segment) {
    if !claim(connection, direction) {
        if segment.flags & RST == 0 {
            wait(skb, connection, direction, &segment);
        }
        return;
    }
    // SAFETY: the clock has no preconditions.
    let segment = segment.at(unsafe { bpf_ktime_get_ns() });
    // SAFETY: the claim is held, so this half is this run's alone but for what is under the lock.
    let (half, shared) = unsafe {
        (
            half(&mut (*connection).halves, direction),
            &mut (*connection).shared,
        )
    };
    segment.keep(&mut half.at_hand);
    let segment = Segment::kept(skb, &half.at_hand);
    let emitter = Emitter::new(skb, connection, direction);
    if half.walk.phase == phase::NEW && segment.flags & RST != 0 {
        // The answer to a SYN; the socket may try again.
        release(skb, connection, direction, direction, 0);
        return;
    }
    if half.walk.phase == phase::NEW && !settle_birth(skb, connection, direction, &segment) {
        unclaim(connection, direction);
        wait(skb, connection, direction, &segment);
        return;
    }
    if shared.settled != 0 {
        half.walk.phase = phase::IGNORE;
    }
    if segment.flags & RST != 0 {
        // A socket that the kernel watches for us tells its end itself. For others, a forged reset must not end
        // the calls: it has to stand exactly where the stream does.
        // SAFETY: written before the first packet.
        let (watched, told) = unsafe { ((*connection).watched, (*connection).told) };
        let stands = segment.start == half.top || direction as u8 == 1;
        if watched == 0 && told != 0 && stands {
            emitter.closed(&mut half.walk, segment.time, Close::Reset);
        }
        release(skb, connection, direction, direction, 0);
        return;
    }
    settle_start(&mut half.walk, segment.start);
    if half.walk.needs_order() && !behind(half.walk.next, segment.start) {
        unclaim(connection, direction);
        wait(skb, connection, direction, &segment);
        return;
    }
    // SAFETY: storage lives as long as the run.
    let announced = unsafe { (*connection).announced };
    // What is settled comes here only with its announcement owed.
    let owed = announced != announced::YES && (announced == announced::FAILED || shared.settled != 0);
    let went = if owed {
        Went::Unannounced
    } else {
        walk::<_, WALK_FIRST>(half, shared, &segment, &emitter)
    };
    carry_on(skb, connection, direction, &segment, went);
}

/// Stores the segment until its turn has come.
#[inline(always)]
fn wait(skb: *mut __sk_buff, connection: *mut Connection, direction: Direction, segment: &Segment) {
    go_on(skb, direction, Next::Store);
    let end = segment.start.wrapping_add(segment.length);
    locked(connection, |halves| {
        half(halves, direction).lose(Loss::TooManyFrames, end);
    });
    count(Loss::TooManyFrames);
}

/// Ends the segment, or goes on with it in the program that is right for it.
#[inline(always)]
fn carry_on(
    skb: *mut __sk_buff,
    connection: *mut Connection,
    direction: Direction,
    segment: &Segment,
    went: Went,
) {
    if went as u32 != Went::Done as u32 {
        // SAFETY: the claim is held.
        let half = unsafe { half(&mut (*connection).halves, direction) };
        let next = match went {
            Went::Unannounced => {
                half.resume = if half.walk.in_frames() {
                    Next::Walk
                } else {
                    Next::Open
                } as u32;
                Next::Announce
            }
            Went::Frames => Next::Walk,
            _ => Next::Open,
        };
        go_on(skb, direction, next);
        // No run is left for the rest of the segment.
        count(Loss::TooManyFrames);
        Emitter::new(skb, connection, direction).gap(&mut half.walk, segment.time, Loss::TooManyFrames);
        half.walk.lose(segment.start.wrapping_add(segment.length));
    }
    finish(skb, connection, direction, segment);
}

/// The segment has been walked.
#[inline(always)]
fn finish(skb: *mut __sk_buff, connection: *mut Connection, direction: Direction, segment: &Segment) {
    // SAFETY: the claim is held.
    let half = unsafe { half(&mut (*connection).halves, direction) };
    let end = segment.start.wrapping_add(segment.length);
    if behind(end, half.top) {
        half.top = end;
    }
    if segment.flags & FIN != 0 && half.finished == 0 {
        half.finished = 1;
        Emitter::new(skb, connection, direction).closed(&mut half.walk, segment.time, Close::Fin);
    }
    release(skb, connection, direction, direction, 0);
}

/// Goes on with the frames of a segment that `entry` could not finish. The claim is held.
#[inline(always)]
fn frames(skb: *mut __sk_buff, direction: Direction) {
    let connection = connection(skb);
    if connection.is_null() {
        return;
    }
    // SAFETY: the claim is held.
    let (half, shared) = unsafe {
        (
            half(&mut (*connection).halves, direction),
            &mut (*connection).shared,
        )
    };
    let segment = Segment::kept(skb, &half.at_hand);
    let emitter = Emitter::new(skb, connection, direction);
    let went = walk::<_, WALK_MORE>(half, shared, &segment, &emitter);
    carry_on(skb, connection, direction, &segment, went);
}

/// The same with what is no frame.
#[inline(always)]
fn outside(skb: *mut __sk_buff, direction: Direction) {
    let connection = connection(skb);
    if connection.is_null() {
        return;
    }
    // SAFETY: the claim is held.
    let (half, shared) = unsafe {
        (
            half(&mut (*connection).halves, direction),
            &mut (*connection).shared,
        )
    };
    let segment = Segment::kept(skb, &half.at_hand);
    let emitter = Emitter::new(skb, connection, direction);
    let begins = matches!(half.walk.phase, phase::OPENING | phase::SEARCH) && half.walk.held == 0;
    let went = if begins && segment.is_multipath() {
        hide(&mut half.walk, shared, Protocol::Multipath);
        emitter.set_announced(announced::NO);
        Went::Unannounced
    } else {
        let at = half.walk.next.wrapping_sub(segment.start);
        let went = pass::<_, OPEN>(half, shared, &segment, &emitter);
        if begins && hello::is_wanted() && shared.protocol == Protocol::Tls as u8 && shared.joined == 0 {
            // SAFETY: storage lives as long as the run.
            hello::remember(&segment, at, direction, unsafe { (*connection).cookie });
        }
        went
    };
    carry_on(skb, connection, direction, &segment, went);
}

/// The storage of the packet's socket; null where it has none.
#[inline(always)]
pub fn connection(skb: *mut __sk_buff) -> *mut Connection {
    let sk = socket(skb);
    if sk.is_null() {
        core::ptr::null_mut()
    } else {
        CONNECTIONS.get(sk.cast())
    }
}

/// The segment has to wait. The claim is not held.
#[inline(always)]
fn store(skb: *mut __sk_buff, direction: Direction) {
    let connection = connection(skb);
    if connection.is_null() {
        return;
    }
    let Some(segment) = Segment::parse(skb) else {
        return;
    };
    // SAFETY: the clock has no preconditions.
    let segment = segment.at(unsafe { bpf_ktime_get_ns() });
    if hold::store(connection, direction, &segment) {
        go_on(skb, direction, Next::Drain);
        leave(connection, direction);
    }
}

#[inline(always)]
fn drain<const OUTSIDE: bool>(skb: *mut __sk_buff, direction: Direction, hook: Direction) {
    let connection = connection(skb);
    if !connection.is_null() {
        hold::drain::<OUTSIDE>(skb, connection, direction, hook);
    }
}
