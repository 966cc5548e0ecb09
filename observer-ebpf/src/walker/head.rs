//! The nine bytes in front of every HTTP/2 frame, and whether nine bytes can be that.

use crate::record::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY, PRIORITY_FLAG,
    RST_STREAM, SETTINGS, WINDOW_UPDATE,
};

pub const HEAD: usize = 9;

/// A decoded frame head (RFC 9113, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub length: u32,
    pub frame_type: u8,
    pub flags: u8,
    /// Reserved bit included: it must be ignored in a stream that is in step, and is evidence in one that is not.
    raw_stream: u32,
}

impl Head {
    #[must_use]
    #[inline(always)]
    pub fn decode(bytes: [u8; HEAD]) -> Self {
        let [l0, l1, l2, frame_type, flags, s0, s1, s2, s3] = bytes;
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            frame_type,
            flags,
            raw_stream: u32::from_be_bytes([s0, s1, s2, s3]),
        }
    }

    /// The same of two words in network order: three bytes of zero and the first five; the last four.
    #[must_use]
    #[inline(always)]
    pub fn from_words(first: u64, second: u32) -> Self {
        let first = u64::from_be(first);
        Self {
            // The mask says to the compiler what it cannot know: it spares arithmetic of 32 bits, which is dear there.
            length: (first >> 16 & 0xff_ffff) as u32,
            frame_type: (first >> 8) as u8,
            flags: first as u8,
            raw_stream: u32::from_be(second),
        }
    }

    #[must_use]
    #[inline(always)]
    pub fn stream(&self) -> u32 {
        self.raw_stream & 0x7fff_ffff
    }

    /// Whether a peer that keeps to RFC 9113 can have sent this. Unknown types are to be skipped, so they pass.
    #[must_use]
    #[inline(always)]
    pub fn allowed(&self) -> bool {
        let connection = self.stream() == 0;
        match self.frame_type {
            DATA | HEADERS | CONTINUATION => !connection,
            RST_STREAM => !connection && self.length == 4,
            SETTINGS => connection && self.length.is_multiple_of(6),
            PING => connection && self.length == 8,
            GOAWAY => connection && self.length >= 8,
            WINDOW_UPDATE => self.length == 4,
            _ => true,
        }
    }

    /// Whether this is a frame head as gRPC peers send them: the evidence that a boundary was found in the
    /// middle of a stream. Much stricter than [`allowed`](Self::allowed): about 1 in 10⁷ of random bytes pass.
    #[must_use]
    #[inline(always)]
    pub fn plausible(&self) -> bool {
        // Servers do not open streams in gRPC, so every stream id is odd.
        let stream = self.raw_stream & 0x8000_0001 == 1;
        let connection = self.raw_stream == 0;
        let only = |flags: u8| self.flags & !flags == 0;
        match self.frame_type {
            // An empty DATA frame is only sent to end a stream. Runs of zero bytes would pass otherwise.
            DATA => {
                stream
                    && only(END_STREAM | PADDED)
                    && self.length <= MAX_PLAUSIBLE_DATA
                    && (self.length > 0 || self.flags & END_STREAM != 0)
            }
            HEADERS => {
                stream
                    && only(END_STREAM | END_HEADERS | PADDED | PRIORITY_FLAG)
                    && self.length > 0
                    && self.length <= MAX_PLAUSIBLE_BLOCK
            }
            CONTINUATION => stream && only(END_HEADERS) && self.length <= MAX_PLAUSIBLE_BLOCK,
            PRIORITY => stream && self.flags == 0 && self.length == 5,
            RST_STREAM => stream && self.flags == 0 && self.length == 4,
            SETTINGS => {
                connection
                    && only(ACK)
                    && self.length.is_multiple_of(6)
                    && self.length <= MAX_PLAUSIBLE_SETTINGS
                    && (self.flags & ACK == 0 || self.length == 0)
            }
            PING => connection && only(ACK) && self.length == 8,
            GOAWAY => connection && self.flags == 0 && self.length >= 8 && self.length <= MAX_PLAUSIBLE_BLOCK,
            WINDOW_UPDATE => (connection || stream) && self.flags == 0 && self.length == 4,
            _ => false,
        }
    }
}

/// 192 KiB were seen in the wild (C-core); 1 MiB leaves room and still refuses 15 of 16 random lengths.
const MAX_PLAUSIBLE_DATA: u32 = 1 << 20;
const MAX_PLAUSIBLE_BLOCK: u32 = 1 << 16;
/// There are fewer than 16 defined settings.
const MAX_PLAUSIBLE_SETTINGS: u32 = 16 * 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: [u8; HEAD], allowed: bool, plausible: bool) {
        let head = Head::decode(bytes);
        assert_eq!(
            (head.allowed(), head.plausible()),
            (allowed, plausible),
            "{head:?}"
        );
    }

    #[test]
    fn heads() {
        check([0, 0, 5, 1, 4, 0, 0, 0, 1], true, true); // HEADERS
        check([0, 0, 5, 1, 4, 0, 0, 0, 0], false, false); // HEADERS on the connection
        check([0, 0, 5, 1, 4, 0, 0, 0, 2], true, false); // a server's stream
        check([0, 0, 0, 0, 0, 0, 0, 0, 0], false, false); // zeros
        check([0, 0, 0, 0, 0, 0, 0, 0, 3], true, false); // an empty DATA that ends nothing
        check([0, 0, 0, 0, 1, 0, 0, 0, 3], true, true);
        check([0, 0, 0, 4, 0, 0, 0, 0, 0], true, true); // empty SETTINGS
        check([0, 0, 6, 4, 1, 0, 0, 0, 0], true, false); // an ACK with settings
        check([0, 0, 7, 4, 0, 0, 0, 0, 0], false, false);
        check([0, 0, 4, 8, 0, 0, 0, 0, 0], true, true);
        check([0, 0, 8, 6, 1, 0, 0, 0, 0], true, true);
        check([0, 0, 8, 0xbe, 1, 0, 0, 0, 0], true, false); // an extension
    }

    #[test]
    fn words_are_bytes() {
        let bytes = [1, 2, 3, 4, 5, 0x86, 7, 8, 9];
        let [a, b, c, d, e, stream @ ..] = bytes;
        let first = u64::from_ne_bytes([0, 0, 0, a, b, c, d, e]);
        let head = Head::from_words(first, u32::from_ne_bytes(stream));
        assert_eq!(head, Head::decode(bytes));
    }

    #[test]
    fn reserved_bit_is_ignored_in_step() {
        let head = Head::decode([0, 0, 4, 8, 0, 0x80, 0, 0, 1]);
        assert_eq!(head.stream(), 1);
        assert!(head.allowed() && !head.plausible());
    }
}
