//! Runs of the walker over a source, and what is told on the way.

use observer_ebpf::connection::{Half, announced};
use observer_ebpf::loss::Loss;
use observer_ebpf::walker::{Shared, What, step_frames, step_outside};

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
    for _ in 0..MOST {
        if !half.walk.in_frames() {
            return Went::Outside;
        }
        if emitter.announced() == announced::NO {
            return Went::Unannounced;
        }
        half.tell = step_frames(&mut half.walk, shared, emitter.direction, source);
        forget();
        match half.tell.what {
            What::Done => return Went::Done,
            What::Nothing => {}
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
