//! The one record format between kernel and userspace. A record is a [`Record`] head followed by
//! `Record::payload` bytes; its meaning depends on [`Kind`].
//!
//! Integers are in the machine's byte order (both ends run on one machine); what is copied from the wire stays
//! in network order.

/// Raised with every incompatible change; the daemon refuses a kernel object of another version.
pub const VERSION: u32 = 3;

/// Which half of a socket's traffic. Relative to the socket, not to client or server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    Ingress = 0,
    Egress = 1,
}

impl Direction {
    #[must_use]
    #[inline(always)]
    pub const fn from_raw(raw: u8) -> Self {
        if raw == 0 { Self::Ingress } else { Self::Egress }
    }

    #[must_use]
    #[inline(always)]
    pub const fn other(self) -> Self {
        match self {
            Self::Ingress => Self::Egress,
            Self::Egress => Self::Ingress,
        }
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Payload: one [`Socket`]. The connection at first sight, and again when its [`Protocol`] changed.
    Socket = 1,
    /// Payload: a piece of the payload of one HTTP/2 frame, `Record::offset` bytes into it. The pieces of a
    /// frame come in order; the last is the one that reaches [`delivered_length`] of the frame. A frame without
    /// payload is one record without payload, and so is a header frame above [`MAX_HEADER_BLOCK`].
    Frame = 2,
    /// No payload: nothing but `Record::data`; with [`END_STREAM`](crate::record::END_STREAM) in `flags`, the
    /// DATA frame that ended `stream`.
    Data = 3,
    /// No payload: the walker lost its place in this direction; `frame_type` is the [`Loss`](crate::loss::Loss).
    /// Until the next record of this direction, any number of frames may be missing; header compression state
    /// of the direction is no longer known.
    Gap = 4,
    /// No payload: this direction (or, for all but [`Close::Fin`], the connection) has ended; `frame_type` is
    /// the [`Close`]. [`Close::Gone`] and [`Close::Released`] are not numbered: their `sequence` says nothing.
    Closed = 5,
}

impl Kind {
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        match raw {
            1 => Some(Self::Socket),
            2 => Some(Self::Frame),
            3 => Some(Self::Data),
            4 => Some(Self::Gap),
            5 => Some(Self::Closed),
            _ => None,
        }
    }
}

/// How a connection, or one direction of it, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Close {
    /// The sender of this direction sends nothing more.
    Fin = 1,
    /// A reset; both directions are dead.
    Reset = 2,
    /// The kernel's socket reached the state CLOSE, by whatever way; no record follows.
    Gone = 3,
    /// The application closed a socket that is older than the observer; what was still in its send queue may
    /// follow.
    Released = 4,
}

impl Close {
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        match raw {
            1 => Some(Self::Fin),
            2 => Some(Self::Reset),
            3 => Some(Self::Gone),
            4 => Some(Self::Released),
            _ => None,
        }
    }
}

/// What a connection carries, as far as its bytes have told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// Not decided yet. Frames may already be delivered: a server may speak before the client's preface.
    Undecided = 0,
    Http2 = 1,
    Http1 = 2,
    Tls = 3,
    /// None of the others; for good.
    Other = 4,
    /// A path of an MPTCP connection: its bytes may be any part of the whole, so they are not looked at.
    Multipath = 5,
}

impl Protocol {
    #[must_use]
    #[inline(always)]
    pub const fn from_raw(raw: u8) -> Self {
        match raw {
            1 => Self::Http2,
            2 => Self::Http1,
            3 => Self::Tls,
            4 => Self::Other,
            5 => Self::Multipath,
            _ => Self::Undecided,
        }
    }
}

/// Who opened the connection, where the kernel saw it happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    Unknown = 0,
    /// This socket called `connect`.
    Active = 1,
    /// This socket was accepted.
    Passive = 2,
}

impl Role {
    #[must_use]
    #[inline(always)]
    pub const fn from_raw(raw: u8) -> Self {
        match raw {
            1 => Self::Active,
            2 => Self::Passive,
            _ => Self::Unknown,
        }
    }
}

/// DATA payload bytes (padding included) of one stream since they were last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DataCount {
    /// 0: nothing to tell.
    pub stream: u32,
    pub bytes: u32,
}

/// The head of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Record {
    /// The socket's cookie: unique on this machine until it is rebooted.
    pub connection: u64,
    /// `CLOCK_MONOTONIC`, nanoseconds, of the segment that carried the first byte told of. Where segments had to wait
    /// behind a hole, and share a slot, of the first of them: what begins in the others may seem older by as long as the
    /// hole was open.
    pub time: u64,
    /// Counts the records of this connection and direction, from 0, also those that found the ring full: a step
    /// of more than 1 tells how many were lost. Wraps.
    pub sequence: u32,
    /// A [`Kind`].
    pub kind: u8,
    /// A [`Direction`].
    pub direction: u8,
    /// HTTP/2 frame type, or what [`Kind`] says.
    pub frame_type: u8,
    /// HTTP/2 frame flags.
    pub flags: u8,
    /// HTTP/2 stream id, reserved bit cleared.
    pub stream: u32,
    /// Length of the frame's payload on the wire.
    pub length: u32,
    /// Where in the frame's payload this piece begins.
    pub offset: u32,
    /// Number of payload bytes behind this head.
    pub payload: u32,
    /// DATA seen in this direction before this record, not told before.
    pub data: DataCount,
    /// The same of the other direction; told with what ends a stream, so that a call's bytes are complete when
    /// it ends.
    pub data_other: DataCount,
}

/// Payload of [`Kind::Socket`]. Addresses in network order, IPv4 mapped into IPv6 (`::ffff:a.b.c.d`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Socket {
    /// Id (inode) of the cgroup v2 of the socket; 0 where the kernel does not say.
    pub cgroup: u64,
    pub local: [u8; 16],
    pub remote: [u8; 16],
    pub local_port: u16,
    pub remote_port: u16,
    /// Process (thread group) that created the socket, or the listening socket it came from; 0: unknown.
    pub process: u32,
    /// Name of the thread that created it, zero-padded; empty where `process` is 0.
    pub command: [u8; 16],
    /// A [`Protocol`].
    pub protocol: u8,
    /// A [`Role`].
    pub role: u8,
    /// 1: the connection is older than the observer and was joined in the middle.
    pub joined: u8,
    /// [`Direction`] that carries the requests, plus 1; 0: not known (yet).
    pub requests: u8,
    pub reserved: [u8; 4],
}

const _: () = assert!(size_of::<Record>() == 56);
const _: () = assert!(size_of::<Socket>() == 72);

/// HTTP/2 frame types (RFC 9113, section 6) that the kernel knows.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
/// On SETTINGS (and PING).
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const PRIORITY_FLAG: u8 = 0x20;

/// Header bytes of one block (HEADERS or `PUSH_PROMISE` and its CONTINUATIONs) that are delivered. gRPC
/// implementations default to 8 to 16 KiB of decoded headers; nothing sane comes near. A frame that would go
/// above is told as one record without payload (`length` > 0, `payload` 0), the CONTINUATIONs behind it are
/// not told, but for the one with [`END_HEADERS`], without payload too; the cause is
/// [`Loss::OversizedBlock`](crate::loss::Loss::OversizedBlock).
pub const MAX_HEADER_BLOCK: u32 = 128 * 1024;

/// Payload bytes of one record at most; longer frames come in several pieces.
pub const MAX_PIECE: u32 = 4096;

/// GOAWAY carries free text behind its first 8 bytes; SETTINGS is told up to 64 entries.
const MAX_GOAWAY: u32 = 8;
const MAX_SETTINGS: u32 = 64 * 6;

/// How many payload bytes of a frame are delivered: all for header blocks (but see [`MAX_HEADER_BLOCK`]), a
/// bounded prefix for control frames, none for everything else. DATA is never read.
#[must_use]
#[inline(always)]
pub const fn delivered_length(frame_type: u8, length: u32) -> u32 {
    let most = match frame_type {
        HEADERS | PUSH_PROMISE | CONTINUATION => {
            return if length <= MAX_HEADER_BLOCK { length } else { 0 };
        }
        SETTINGS => MAX_SETTINGS,
        RST_STREAM => 4,
        GOAWAY => MAX_GOAWAY,
        _ => 0,
    };
    if length < most { length } else { most }
}
