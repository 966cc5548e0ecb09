//! What the kernel remembers of a socket, in the socket's own storage, and of segments that have to wait.

use crate::loss::Loss;
use crate::record::Direction;
use crate::walker::{Shared, Tell, Walk, phase};

/// The kernel's spin lock, known to its verifier by this very name and size; userspace never touches it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct bpf_spin_lock {
    pub val: u32,
}

/// The segment that a run is walking, for the programs that go on with it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct AtHand {
    pub time: u64,
    /// Sequence number of its first payload byte.
    pub start: u32,
    pub length: u32,
    /// Where its payload begins in the packet.
    pub payload: u32,
    /// Where its TCP header begins in the packet.
    pub header: u16,
    /// TCP flags.
    pub flags: u16,
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Half {
    pub walk: Walk,
    pub at_hand: AtHand,
    /// Slots whose segments are stored and wait to be walked. Under the lock.
    pub ready: u64,
    /// Slots that are given out: stored, or about to be. Under the lock.
    pub taken: u64,
    /// The slot after the one that was given out last; they go round. Under the lock.
    pub used: u32,
    /// One of [`anew`]: whoever walks next begins there. Under the lock.
    pub anew: u8,
    /// A [`Loss`] plus 1: a segment could neither be walked nor wait; whoever walks next has to tell. Under the lock.
    pub lost: u8,
    /// 1: a program run is walking this direction; another one must hand its segment over. Under the lock.
    pub busy: u8,
    /// 1: the end of this direction has been told.
    pub finished: u8,
    /// End of the furthest segment that was in order: where a reset has to stand to be believed.
    pub top: u32,
    /// Program to go on with after the announcement.
    pub resume: u32,
    /// What the last step found. In memory, because the verifier then knows nothing of it, and so follows what is
    /// done with it once instead of once for every way that led to it.
    pub tell: Tell,
    /// The slot whose turn it is. In memory for the same reason.
    pub slot: u32,
    /// End of what `lost` is about. Under the lock.
    pub lost_end: u32,
    /// Where the direction begins, for [`anew::BEGIN`]. Under the lock.
    pub start: u32,
    /// 1: something is held that may be in order, and no run is about to walk it: it came before the connection did, or
    /// the kernel's limit of tail calls was reached. Under the lock.
    pub left: u8,
    pub reserved: [u8; 3],
}

/// What a direction has been told by somebody who does not walk it.
pub mod anew {
    pub const NO: u8 = 0;
    /// The other direction has left HTTP/1 for HTTP/2.
    pub const REOPEN: u8 = 1;
    /// The connection exists now, and begins at `Half::start`.
    pub const BEGIN: u8 = 2;
}

impl Half {
    /// Takes the claim if it is free. Under the lock.
    #[inline(always)]
    pub fn claim(&mut self) -> bool {
        if self.busy != 0 {
            return false;
        }
        self.busy = 1;
        self.begin_anew_if_told();
        true
    }

    /// What the other direction has found for this one. Under the lock, by the holder of the claim.
    #[inline(always)]
    pub fn begin_anew_if_told(&mut self) {
        if self.anew == anew::NO {
            return;
        }
        if self.anew == anew::BEGIN && self.walk.phase == phase::NEW {
            self.walk = Walk::from_start(self.start);
            self.top = self.start;
        }
        if self.anew == anew::REOPEN {
            self.walk.phase = phase::REOPEN;
        }
        self.anew = anew::NO;
    }

    /// The direction begins at `start`, unless a run has seen it begin: now, or as soon as the one that is walking looks.
    /// Under the lock.
    #[inline(always)]
    pub fn begin(&mut self, start: u32) {
        self.start = start;
        self.anew = anew::BEGIN;
        if self.busy == 0 {
            self.begin_anew_if_told();
        }
    }

    /// Forgets everything but who is walking. Under the lock.
    #[inline(always)]
    pub fn forget(&mut self) {
        let busy = self.busy;
        *self = Self::default();
        self.busy = busy;
    }

    /// Everything up to `end` is given up; the caller counts it. Under the lock.
    #[inline(always)]
    pub fn lose(&mut self, loss: Loss, end: u32) {
        if self.lost == 0 || end.wrapping_sub(self.lost_end).cast_signed() > 0 {
            self.lost_end = end;
        }
        self.lost = loss as u8 + 1;
    }

    /// The loss that nobody has told yet, if there is one. Under the lock.
    #[inline(always)]
    pub fn take_lost(&mut self) -> u8 {
        let lost = self.lost;
        self.lost = 0;
        lost
    }
}

pub mod announced {
    pub const NO: u8 = 0;
    pub const YES: u8 = 1;
    /// The ring was full; tried again with the next packet, also of a connection that is settled.
    pub const FAILED: u8 = 2;
}

/// One socket.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Connection {
    pub cookie: u64,
    /// Key of the segments held for this socket.
    pub hold: u64,
    pub lock: bpf_spin_lock,
    pub shared: Shared,
    /// A [`Role`](crate::record::Role).
    pub role: u8,
    /// Whether its `Socket` record, with the present protocol, has reached the ring: one of [`announced`].
    pub announced: u8,
    /// 1: the kernel tells the state changes of this socket, so its end needs no guessing.
    pub watched: u8,
    /// 1: the daemon was told of this socket, whatever became of it since, and has to be told of its end.
    pub told: u8,
    pub reserved: [u8; 4],
    pub halves: [Half; 2],
}

const _: () = assert!(size_of::<Half>() == 168);
const _: () = assert!(size_of::<Connection>() == 368);

/// A segment is held in slots of this many bytes: with what the map adds, 16 KiB of the kernel's memory.
pub const HELD_BYTES: usize = 16_384 - 128;
/// Slots of one direction. Segments that follow each other share slots, so each is half full at least: 512 KiB are held
/// whatever their sizes, 768 KiB of full ones. A loss on a connection that carries calls has seldom more than ten
/// segments behind it. But where processes compete for CPUs, one that delivers packets may be kept from it for a time
/// slice, and others go on at memory speed meanwhile: with 256 KiB two of 12 busy connections lost their place within a
/// minute.
pub const MAX_HELD_SLOTS: u32 = 64;
/// Slots of all connections: 32 MiB at most, allocated when used.
pub const MAX_HELD: usize = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct HeldKey {
    /// `Connection::hold`.
    pub hold: u64,
    /// Slot; for egress, [`MAX_HELD_SLOTS`] is added.
    pub slot: u32,
    pub reserved: u32,
}

impl HeldKey {
    #[must_use]
    #[inline(always)]
    pub fn new(hold: u64, direction: Direction, slot: u32) -> Self {
        let slot = match direction {
            Direction::Ingress => slot,
            Direction::Egress => slot + MAX_HELD_SLOTS,
        };
        Self {
            hold,
            slot,
            reserved: 0,
        }
    }
}

/// A segment, or a part of one, that came before its turn.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Held {
    pub time: u64,
    pub start: u32,
    pub length: u32,
    /// 1: the direction ends behind it.
    pub fin: u32,
    /// On the first part: how many parts the segment has.
    pub parts: u32,
    pub bytes: [u8; HELD_BYTES],
}

const _: () = assert!(size_of::<Held>() == 24 + HELD_BYTES);

/// Who made a socket; copied by the kernel from a listening socket to those that are accepted from it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Owner {
    /// Thread group.
    pub process: u32,
    pub command: [u8; 16],
}

const _: () = assert!(size_of::<Owner>() == 20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_furthest_loss_is_told() {
        let mut half = Half::default();
        half.lose(Loss::HoldExceeded, 10);
        half.lose(Loss::NoMemory, u32::MAX - 5);
        assert_eq!((half.take_lost(), half.lost_end), (Loss::NoMemory as u8 + 1, 10));
        half.lose(Loss::HoldExceeded, u32::MAX - 5);
        assert_eq!(
            (half.take_lost(), half.lost_end),
            (Loss::HoldExceeded as u8 + 1, u32::MAX - 5)
        );
        assert_eq!(half.take_lost(), 0);
    }

    #[test]
    fn a_direction_begins_at_once_or_when_its_run_looks() {
        let mut half = Half::default();
        half.begin(7);
        assert_eq!(
            (half.walk.phase, half.walk.next, half.top),
            (phase::OPENING, 7, 7)
        );
        let mut half = Half::default();
        assert!(half.claim());
        half.begin(7);
        assert_eq!((half.walk.phase, half.anew), (phase::NEW, anew::BEGIN));
        half.begin_anew_if_told();
        assert_eq!(
            (half.walk.phase, half.walk.next, half.anew),
            (phase::OPENING, 7, anew::NO)
        );
    }

    /// Its SYN was seen, and perhaps data with it.
    #[test]
    fn a_direction_that_has_begun_goes_on() {
        let mut half = Half {
            walk: Walk::from_start(3),
            ..Half::default()
        };
        half.begin(7);
        assert_eq!((half.walk.next, half.anew), (3, anew::NO));
    }

    #[test]
    fn another_connection_finds_nothing_of_the_last() {
        let mut half = Half {
            ready: 5,
            taken: 7,
            used: 3,
            left: 1,
            finished: 1,
            ..Half::default()
        };
        assert!(half.claim());
        half.lose(Loss::NoMemory, 9);
        half.begin(7);
        half.forget();
        assert_eq!((half.busy, half.ready, half.taken, half.used), (1, 0, 0, 0));
        assert_eq!(
            (half.left, half.finished, half.lost, half.anew),
            (0, 0, 0, anew::NO)
        );
    }
}
