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
    /// 1: the other direction has left HTTP/1 for HTTP/2, and whoever walks next begins anew. Under the lock.
    pub reopen: u8,
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
        if self.reopen != 0 {
            self.reopen = 0;
            self.walk.phase = phase::REOPEN;
        }
    }

    /// Everything up to `end` is given up. Under the lock.
    #[inline(always)]
    pub fn lose(&mut self, loss: Loss, end: u32) {
        self.lost = loss as u8 + 1;
        self.lost_end = end;
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
    /// 1: data that came with the handshake waits, and has to be walked before the first answer to it.
    pub adopted: u8,
    /// 1: the daemon was told of this socket, whatever became of it since, and has to be told of its end.
    pub told: u8,
    pub reserved: [u8; 3],
    pub halves: [Half; 2],
}

const _: () = assert!(size_of::<Half>() == 160);
const _: () = assert!(size_of::<Connection>() == 352);

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
