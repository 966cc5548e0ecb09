//! One direction of a captured connection: the walker's place, and segments that wait for a hole to be filled.

use observer_ebpf::walker::{Walk, phase};

/// Bytes of one direction that wait behind a hole. Four times what the kernel programs hold: a capture on a busy
/// machine has longer disorder, and nobody waits for it here.
pub const MAX_HELD_BYTES: usize = 1 << 20;
/// Segments likewise; empty ones cost something too.
pub const MAX_HELD_SEGMENTS: usize = 1024;
/// When the receiver has acknowledged what is missing, the capture has missed it: it will not come again. Captures
/// of several queues are out of order by less than this.
const MAX_LATE: u64 = 200_000_000;

/// Whether `position` is at or behind `start`.
pub(super) const fn behind(position: u32, start: u32) -> bool {
    position.wrapping_sub(start).cast_signed() >= 0
}

/// A segment's payload in the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub start: u32,
    /// On the wire; more than `bytes` where the capture cut it.
    pub length: u32,
    pub bytes: &'a [u8],
    pub time: u64,
    pub fin: bool,
}

#[derive(Debug)]
pub(super) struct Held {
    start: u32,
    length: u32,
    bytes: Box<[u8]>,
    time: u64,
    fin: bool,
}

impl Held {
    pub(super) fn piece(&self) -> Piece<'_> {
        let Self {
            start,
            length,
            bytes,
            time,
            fin,
        } = self;
        Piece {
            start: *start,
            length: *length,
            bytes,
            time: *time,
            fin: *fin,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Half {
    pub walk: Walk,
    /// End of the furthest segment that was walked.
    pub top: u32,
    pub finished: bool,
    /// What the receiver has acknowledged.
    pub acknowledged: Option<u32>,
    held: Vec<Held>,
    held_bytes: usize,
}

impl Half {
    pub(super) const fn is_new(&self) -> bool {
        self.walk.phase == phase::NEW
    }

    pub(super) fn begin(&mut self, walk: Walk) {
        self.walk = walk;
        self.top = walk.next;
    }

    /// Where order does not matter, the walk begins with what is at hand.
    pub(super) fn settle_start(&mut self, start: u32) {
        let walk = &mut self.walk;
        match walk.phase {
            phase::REOPEN => {
                walk.phase = phase::OPENING;
                walk.next = start;
            }
            phase::SEARCH | phase::TRIAL if walk.next != start && !behind(walk.next, start) => {
                walk.lose(start);
            }
            _ => {}
        }
    }

    pub(super) fn is_next(&self, start: u32) -> bool {
        !self.walk.needs_order() || behind(self.walk.next, start)
    }

    /// Keeps a segment until its turn; false: there is no room.
    pub(super) fn hold(&mut self, piece: &Piece<'_>) -> bool {
        let same =
            |held: &Held| held.start == piece.start && held.length >= piece.length && held.fin >= piece.fin;
        if self.held.iter().any(same) {
            return true;
        }
        let Piece {
            start,
            length,
            bytes,
            time,
            fin,
        } = *piece;
        if self.held.len() >= MAX_HELD_SEGMENTS || self.held_bytes + bytes.len() > MAX_HELD_BYTES {
            return false;
        }
        self.held_bytes += bytes.len();
        self.held.push(Held {
            start,
            length,
            bytes: bytes.into(),
            time,
            fin,
        });
        true
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// The segment whose turn it is.
    pub(super) fn take_next(&mut self) -> Option<Held> {
        let first = self.first()?;
        let is_next = self.held.get(first).is_some_and(|held| self.is_next(held.start));
        is_next.then(|| {
            let held = self.held.swap_remove(first);
            self.held_bytes -= held.bytes.len();
            held
        })
    }

    /// Where the first of those that wait begins.
    pub(super) fn first_held(&self) -> Option<u32> {
        self.first()
            .and_then(|first| self.held.get(first))
            .map(|held| held.start)
    }

    /// Whether what is missing will not come any more.
    pub(super) fn is_hopeless(&self, now: u64) -> bool {
        let Some(first) = self.first_held() else {
            return false;
        };
        let is_acknowledged = self.acknowledged.is_some_and(|position| behind(position, first));
        let since = self.held.iter().map(|held| held.time).min().unwrap_or(now);
        is_acknowledged && now.saturating_sub(since) > MAX_LATE
    }

    /// Nothing of what waits matters any more.
    pub(super) fn clear(&mut self) {
        self.held = Vec::new();
        self.held_bytes = 0;
    }

    fn first(&self) -> Option<usize> {
        let base = self.walk.next;
        let ahead = |held: &Held| held.start.wrapping_sub(base).cast_signed();
        (0..self.held.len()).min_by_key(|&index| self.held.get(index).map(ahead))
    }
}
