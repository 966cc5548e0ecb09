//! Runs of the walker over a source, and what is told on the way.

use observer_ebpf::connection::{Half, announced};
use observer_ebpf::loss::Loss;
use observer_ebpf::walker::{HEAD_LENGTH, Shared, Short, What, is_short, short, step_frames, step_outside};

use crate::emit::Emitter;
use crate::maps::count;
use crate::source::Bytes;

/// How a run over some of a source ended.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Went {
    /// Everything is walked.
    Done,
    /// There are more frames, or what is no frame.
    Frames,
    Outside,
    /// The connection has to be told of first.
    Unannounced,
}

/// Steps through the frames of the source, `MOST` at most. The claim is held.
#[inline(always)]
pub fn walk<B: Bytes, const MOST: u32>(
    half: &mut Half,
    shared: &mut Shared,
    source: &B,
    emitter: &Emitter,
) -> Went {
    if emitter.announced() == announced::NO && half.walk.in_frames() {
        return Went::Unannounced;
    }
    if B::SHORT && is_short(&half.walk, shared) {
        match short_way::<B, MOST>(half, shared, source, emitter) {
            Went::Outside => {}
            went => return went,
        }
    }
    for _ in 0..MOST {
        if !half.walk.in_frames() {
            return Went::Outside;
        }
        let tell = step_frames(&mut half.walk, shared, emitter.direction, source);
        // Most frames are only passed.
        match tell.what {
            What::Done => return Went::Done,
            What::Nothing => {
                forget();
                continue;
            }
            _ => {}
        }
        half.tell = tell;
        forget();
        match half.tell.what {
            What::Protocol => {
                emitter.set_announced(announced::NO);
                return Went::Unannounced;
            }
            _ => emitter.tell(half, shared, source),
        }
        forget();
    }
    Went::Frames
}

/// Goes the short way for as long as frames can, `MOST` at most. [`Went::Outside`]: one cannot.
#[inline(always)]
fn short_way<B: Bytes, const MOST: u32>(
    half: &mut Half,
    shared: &Shared,
    source: &B,
    emitter: &Emitter,
) -> Went {
    let start = source.start();
    let length = u64::from(source.length());
    let mut at = u64::from(half.walk.next.wrapping_sub(start));
    let mut went = Went::Frames;
    for _ in 0..MOST {
        if at >= length {
            went = Went::Done;
            break;
        }
        match short(&mut half.walk, shared, emitter.direction, source, at) {
            Short::Passed(bytes) => at += bytes,
            Short::Block(head) => {
                at += u64::from(HEAD_LENGTH);
                emitter.tell_block(half, shared, source, head, at as u32);
                at += u64::from(head.length);
            }
            Short::Not => {
                went = Went::Outside;
                break;
            }
        }
        forget();
    }
    half.walk.next = start.wrapping_add(at as u32);
    went
}

/// Steps through what is no frame, `MOST` at most. The claim is held.
#[inline(always)]
pub fn pass<B: Bytes, const MOST: u32>(
    half: &mut Half,
    shared: &mut Shared,
    source: &B,
    emitter: &Emitter,
) -> Went {
    for _ in 0..MOST {
        if half.walk.in_frames() {
            return Went::Frames;
        }
        half.tell = step_outside(&mut half.walk, shared, emitter.direction, source);
        forget();
        match half.tell.what {
            What::Done => return Went::Done,
            What::Protocol => {
                emitter.set_announced(announced::NO);
                return Went::Unannounced;
            }
            What::Gap => {
                count(Loss::ImplausibleFrame);
                emitter.gap(&mut half.walk, source.time(), Loss::ImplausibleFrame);
            }
            What::Reopen => emitter.reopen_other(),
            _ => {}
        }
        forget();
    }
    Went::Outside
}

/// What a step knew must be forgotten: otherwise the compiler threads the ways through several steps into one
/// another, and the verifier has to follow each of their combinations.
#[inline(always)]
pub fn forget() {
    // SAFETY: no instruction at all.
    unsafe { core::arch::asm!("") };
}
