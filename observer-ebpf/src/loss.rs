//! Why something on the wire is not in the output. One word per cause, the same here, in the metric label
//! `reason` and in the documentation.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Loss {
    /// A record found the ring buffer full.
    RingFull = 0,
    /// A segment carried more frames than one run of the programs may walk.
    TooManyFrames = 1,
    /// A header block above [`MAX_HEADER_BLOCK`](crate::record::MAX_HEADER_BLOCK).
    OversizedBlock = 2,
    /// Segments after a hole were more than may be held until the hole is filled.
    HoldExceeded = 3,
    /// A frame head that HTTP/2 does not allow: the walker's place was wrong, or the peer is broken.
    ImplausibleFrame = 4,
    /// Socket storage or hold memory could not be allocated.
    NoMemory = 5,
    /// A segment whose headers could not be read (a form of IP the programs do not know).
    UnreadableSegment = 6,
}

impl Loss {
    pub const ALL: [Self; 7] = [
        Self::RingFull,
        Self::TooManyFrames,
        Self::OversizedBlock,
        Self::HoldExceeded,
        Self::ImplausibleFrame,
        Self::NoMemory,
        Self::UnreadableSegment,
    ];

    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        match raw {
            0 => Some(Self::RingFull),
            1 => Some(Self::TooManyFrames),
            2 => Some(Self::OversizedBlock),
            3 => Some(Self::HoldExceeded),
            4 => Some(Self::ImplausibleFrame),
            5 => Some(Self::NoMemory),
            6 => Some(Self::UnreadableSegment),
            _ => None,
        }
    }

    /// The word for labels and documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::TooManyFrames => "too_many_frames",
            Self::OversizedBlock => "oversized_block",
            Self::HoldExceeded => "hold_exceeded",
            Self::ImplausibleFrame => "implausible_frame",
            Self::NoMemory => "no_memory",
            Self::UnreadableSegment => "unreadable_segment",
        }
    }
}
