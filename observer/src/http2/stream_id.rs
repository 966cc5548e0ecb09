//! Stream identifiers (RFC 9113, section 5.1.1).

/// 31 bits; 0 is the connection itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// The reserved bit has no meaning and is dropped.
    #[must_use]
    pub const fn new(raw: u32) -> Self {
        Self(raw & 0x7fff_ffff)
    }

    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Whether a client opened it; all calls are on such streams.
    #[must_use]
    pub const fn is_client_initiated(self) -> bool {
        self.0 & 1 == 1
    }
}
