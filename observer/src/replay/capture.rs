//! Capture files: from bytes to packets, for as long as the bytes make sense.
//!
//! Own readers, because the two formats are small and a damaged file has to give everything up to the damage and the
//! place of it, which the crates for them do not tell.

mod input;
mod pcap;
mod pcapng;

use std::fmt;
use std::io::{self, Read};

use self::input::Input;
use self::pcap::Pcap;
use self::pcapng::Pcapng;

/// Longest packet that is believed: twice what the largest segments of Linux (BIG TCP, 512 KiB) take.
pub const MAX_PACKET: u32 = 1 << 20;

/// A packet as it was captured.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// The number of the link layer's type, as registered for both formats.
    pub link: u32,
    /// Length on the wire; more than `bytes` where the capture was told to cut.
    pub length: u32,
    pub bytes: &'a [u8],
}

/// Why the rest of a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("damaged at byte {offset}: {cause}")]
pub struct Damage {
    /// Where the record or block begins that cannot be read.
    pub offset: u64,
    pub cause: Cause,
}

#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error("the file ends in the middle of a {0}")]
    Truncated(&'static str),
    #[error("a {what} of {length} bytes cannot be")]
    Length { what: &'static str, length: u64 },
    #[error("a packet of interface {0}, which was not described")]
    Interface(u32),
    #[error("a section of neither byte order")]
    ByteOrder,
    #[error("more than {} interfaces", pcapng::MAX_INTERFACES)]
    Interfaces,
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// Why a file is not read at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("neither pcap nor pcapng: it begins with {0}")]
    Format(Begin),
    #[error("the file is empty")]
    Empty,
    #[error("compressed by {0}; decompress it first, for example `{0} -dc FILE | observer replay -`")]
    Compressed(&'static str),
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// The first bytes of a file that is something else.
#[derive(Debug)]
pub struct Begin([u8; 4]);

impl fmt::Display for Begin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(formatter, "{a:02x} {b:02x} {c:02x} {d:02x}")
    }
}

/// An open capture file.
#[derive(Debug)]
pub struct Capture<R> {
    input: Input<R>,
    format: Format,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// Where in the buffer a packet is, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Found {
    time: u64,
    link: u32,
    length: u32,
    /// Of the buffer.
    start: usize,
    captured: usize,
}

impl<R: Read> Capture<R> {
    pub fn open(inner: R) -> Result<Self, OpenError> {
        let mut input = Input::new(inner);
        let mut magic = [0; 4];
        let filled = input.fill(&mut magic)?;
        if filled == 0 {
            return Err(OpenError::Empty);
        }
        let format = match magic {
            pcapng::SECTION => Format::Pcapng(Pcapng::default()),
            [0x1f, 0x8b, ..] => return Err(OpenError::Compressed("gzip")),
            [0x28, 0xb5, 0x2f, 0xfd] => return Err(OpenError::Compressed("zstd")),
            [0xfd, b'7', b'z', b'X'] => return Err(OpenError::Compressed("xz")),
            other => Format::Pcap(Pcap::recognise(other).ok_or(OpenError::Format(Begin(other)))?),
        };
        Ok(Self {
            input,
            format,
            buffer: Vec::new(),
        })
    }

    /// The next packet; `None`: the file ends where it may end. After damage there is nothing more.
    pub fn packet(&mut self) -> Result<Option<Packet<'_>>, Damage> {
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.input, &mut self.buffer)?,
            Format::Pcapng(pcapng) => pcapng.next(&mut self.input, &mut self.buffer)?,
        };
        Ok(found.map(
            |Found {
                 time,
                 link,
                 length,
                 start,
                 captured,
             }| Packet {
                time,
                link,
                length,
                bytes: self.buffer.get(start..start + captured).unwrap_or_default(),
            },
        ))
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }
}

#[cfg(test)]
mod tests;
