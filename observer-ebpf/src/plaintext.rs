//! What the kernel remembers of an object that encrypts: of a connection as its program sees it, before TLS and behind it.
//!
//! Its two directions are walked like those of a socket, over the buffers that the program hands to its TLS library and
//! gets back. They come in order and whole, so nothing waits here; what can go wrong is counted.

use crate::record::Direction;
use crate::walker::{Shared, Tell, Walk, phase};

/// Marks a connection that was seen in plaintext inside of a process. The rest is the cookie of its socket.
pub const PLAINTEXT: u64 = 1 << 63;
/// Marks one whose socket is not known; the rest is a number of its own.
pub const UNTIED: u64 = 1 << 62;

/// Whose object, and which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ObjectKey {
    /// Its address in the process: `SSL *`, or Go's `*tls.Conn`.
    pub object: u64,
    /// Thread group.
    pub process: u32,
    pub reserved: u32,
}

/// Bytes of one direction that a program run walks.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Chunk {
    /// Where they lie in the process.
    pub buffer: u64,
    pub time: u64,
    /// Position of the first byte in the direction.
    pub start: u32,
    pub length: u32,
}

/// One direction of an object.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct PlainHalf {
    pub walk: Walk,
    pub tell: Tell,
    pub chunk: Chunk,
    /// Bytes that were walked when the program offered them, and that the library has not taken yet: it will be offered
    /// them again.
    pub ahead: u32,
    /// Position behind the last byte that was walked.
    pub position: u32,
    /// 1: a call of the library has begun and not returned.
    pub inside: u8,
    /// 1: bytes were missed; whoever walks next has to tell.
    pub lost: u8,
    /// 1: the bytes of the chunk could not be read.
    pub unreadable: u8,
    pub reserved: [u8; 5],
}

/// How the socket of an object is found.
pub mod tie {
    /// By the random number of the connection, which its first message shows.
    pub const RANDOM: u8 = 0;
    /// By the file descriptor in Go's connection.
    pub const GO: u8 = 1;
}

/// One object.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Plaintext {
    pub key: ObjectKey,
    /// The connection's name in records; 0: not told yet.
    pub id: u64,
    /// Its name if its socket cannot be found. Given at once, so that two directions that tell of it at the same time tell
    /// the same.
    pub own_id: u64,
    pub shared: Shared,
    /// One of [`tie`].
    pub tie: u8,
    /// One of [`crate::connection::announced`].
    pub announced: u8,
    /// 1: its socket is gone. What had come before may still be read.
    pub departed: u8,
    /// 1: the program has closed it, and its socket may go on for a while.
    pub closed: u8,
    pub halves: [PlainHalf; 2],
}

/// What a thread's program run is about: one direction of an object. The other may be under way on another thread.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Run {
    pub key: ObjectKey,
    /// A [`Direction`].
    pub direction: u32,
    /// Program to go on with after the announcement.
    pub resume: u32,
}

impl Plaintext {
    /// Sets up an object (all zero) that was seen when it was made.
    #[inline(always)]
    pub fn start(&mut self, key: &ObjectKey, tie: u8, own_id: u64) {
        self.key = *key;
        self.own_id = own_id;
        self.tie = tie;
        let [ingress, egress] = &mut self.halves;
        ingress.walk.phase = phase::OPENING;
        egress.walk.phase = phase::OPENING;
    }

    /// The same of one that is older than its probes.
    #[inline(always)]
    pub fn join(&mut self, key: &ObjectKey, tie: u8, own_id: u64) {
        self.key = *key;
        self.own_id = own_id;
        self.tie = tie;
        self.shared.joined = 1;
        let [ingress, egress] = &mut self.halves;
        ingress.walk.phase = phase::SEARCH;
        egress.walk.phase = phase::SEARCH;
    }

    /// Which side of the connection the object is, for finding its socket: the direction of its first message. The
    /// preface says it; before it, only a server speaks. `None`: not known.
    #[must_use]
    #[inline(always)]
    pub fn hello(&self) -> Option<Direction> {
        if self.shared.requests != 0 {
            return Some(Direction::from_raw(self.shared.requests - 1));
        }
        let [ingress, egress] = &self.halves;
        if self.shared.joined != 0 {
            return None;
        }
        // Only a client has to begin with the preface.
        match (ingress.walk.in_frames(), egress.walk.in_frames()) {
            (false, true) => Some(Direction::Ingress),
            (true, false) => Some(Direction::Egress),
            _ => None,
        }
    }
}

impl PlainHalf {
    /// The program offers `length` bytes to be written. Gives how many of them were walked when it offered them before.
    #[inline(always)]
    pub fn offer(&mut self, length: u32) -> u32 {
        self.enter();
        if self.lost != 0 {
            // How much of the last offer was taken is not known.
            self.ahead = 0;
        }
        let before = if self.ahead < length { self.ahead } else { length };
        if length > self.ahead {
            self.ahead = length;
        }
        before
    }

    /// The library has taken `length` of what it was offered.
    #[inline(always)]
    pub fn taken(&mut self, length: u32) {
        self.inside = 0;
        self.ahead = self.ahead.saturating_sub(length);
    }

    /// A call of the library begins.
    #[inline(always)]
    pub fn enter(&mut self) {
        if self.inside != 0 {
            self.lost = 1;
        }
        self.inside = 1;
    }

    /// `length` bytes at `buffer` are walked next.
    #[inline(always)]
    pub fn take(&mut self, buffer: u64, length: u32, time: u64) {
        self.chunk = Chunk {
            buffer,
            time,
            start: self.position,
            length,
        };
        self.position = self.position.wrapping_add(length);
        self.unreadable = 0;
    }
}

/// A call of the library that has begun: by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CallKey {
    /// Process and thread, as the kernel gives them; of Go, the address of the goroutine.
    pub thread: u64,
    /// Thread group where `thread` is a goroutine, else 0.
    pub process: u32,
    /// A [`Direction`].
    pub direction: u32,
}

/// A call of the library that has begun: what its end needs.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Call {
    pub object: u64,
    pub buffer: u64,
    /// Where the number of bytes will stand; 0: it is what the call returns.
    pub count: u64,
}

/// The first message of a TLS connection: whoever sent it, at one of the sockets it passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Hello {
    /// The client's random number, 32 bytes.
    pub random: [u64; 4],
    /// A [`Direction`]: of a client's socket, egress.
    pub direction: u64,
}

/// Where an SSL object has its client's random number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RandomPlace {
    /// 1: the place is at `pointer`, in what the object points to; 2: in the object itself; 0: nothing.
    pub kind: u32,
    /// Where in the object the pointer is.
    pub pointer: u32,
    pub offset: u32,
    pub reserved: u32,
}

/// Where members of kernel types are, of this very kernel, from a task to the cookie of a socket that it has open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct KernelPlaces {
    /// 1: the others are set.
    pub known: u32,
    pub task_files: u32,
    pub files_table: u32,
    pub table_size: u32,
    pub table_files: u32,
    pub file_private: u32,
    pub socket_file: u32,
    pub socket_sock: u32,
    pub sock_cookie: u32,
}

/// Objects at most, 6 MiB: those of plaintext that is no HTTP/2 are kept too, lest they be judged again and again.
pub const MAX_OBJECTS: usize = 16_384;
/// Threads inside of a TLS library at one time.
pub const MAX_CALLS: usize = 8192;
/// First messages whose object has not spoken yet.
pub const MAX_HELLOS: usize = 8192;
/// Kinds of SSL objects: one for each library that is built otherwise.
pub const MAX_PLACES: u32 = 16;

const _: () = assert!(size_of::<ObjectKey>() == 16);
const _: () = assert!(size_of::<PlainHalf>() == 136);
const _: () = assert!(size_of::<Plaintext>() == 312);
const _: () = assert!(size_of::<CallKey>() == 16);
const _: () = assert!(size_of::<Run>() == 24);
const _: () = assert!(size_of::<Hello>() == 40);
const _: () = assert!(size_of::<KernelPlaces>() == 36);

#[cfg(test)]
mod tests {
    use super::*;

    /// What a library does not take it is offered again.
    #[test]
    fn offered_twice_walked_once() {
        let mut half = PlainHalf::default();
        assert_eq!(half.offer(10), 0);
        half.taken(0);
        assert_eq!(half.offer(10), 10);
        half.taken(4);
        assert_eq!(half.offer(6), 6);
        half.taken(6);
        assert_eq!(half.offer(3), 0);
        assert_eq!((half.ahead, half.lost), (3, 0));
    }

    /// After a part was taken, more may be offered behind the rest.
    #[test]
    fn offered_again_with_more() {
        let mut half = PlainHalf::default();
        assert_eq!(half.offer(10), 0);
        half.taken(4);
        assert_eq!(half.offer(8), 6);
        half.taken(8);
        assert_eq!(half.ahead, 0);
    }

    #[test]
    fn a_return_that_was_missed_is_told() {
        let mut half = PlainHalf::default();
        half.offer(10);
        assert_eq!(half.offer(10), 0);
        assert_eq!(half.lost, 1);
    }

    #[test]
    fn sides() {
        let mut object = Plaintext::default();
        object.start(&ObjectKey::default(), tie::RANDOM, 1);
        assert_eq!(object.hello(), None);
        object.halves[1].walk.phase = phase::HEAD;
        assert_eq!(object.hello(), Some(Direction::Ingress));
        object.shared.requests = 2;
        assert_eq!(object.hello(), Some(Direction::Egress));
        object = Plaintext::default();
        object.join(&ObjectKey::default(), tie::RANDOM, 1);
        object.halves[1].walk.phase = phase::HEAD;
        assert_eq!(object.hello(), None);
    }

    #[test]
    fn positions_go_on() {
        let mut half = PlainHalf::default();
        half.take(0x1000, 5, 1);
        half.take(0x2000, 7, 2);
        assert_eq!((half.chunk.start, half.chunk.length, half.position), (5, 7, 12));
    }
}
