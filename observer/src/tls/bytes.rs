//! A file as bytes at offsets: read piece by piece, because Node is 100 MB, and not mapped, because whoever shortens a
//! mapped file kills its reader.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memmem::Finder;

use super::Reason;

/// What can be read at offsets.
pub trait Bytes {
    fn length(&self) -> u64;
    /// Fills all of `into`.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// A piece of it, if it lies inside and is no longer than `most`.
    fn piece(&self, offset: u64, length: u64, most: u64) -> Result<Vec<u8>, Reason> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.length());
        if !inside {
            return Err(Reason::Damaged("a part lies behind the end of the file"));
        }
        if length > most {
            return Err(Reason::Damaged("a part is implausibly large"));
        }
        let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
        self.read_at(offset, &mut piece).map_err(unreadable)?;
        Ok(piece)
    }

    /// The name at an offset, which ends with a zero byte, in a table of `rest` more bytes; of a long one as much as tells it from
    /// those that are looked for.
    fn name(&self, offset: u64, rest: u64) -> Result<Vec<u8>, Reason> {
        let mut name = self.piece(offset, rest.min(LONGEST), LONGEST)?;
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
        Ok(name)
    }
}

/// Of a name that is read by itself.
const LONGEST: u64 = 64;

/// A file, and its length when it was opened.
#[derive(Debug)]
pub struct Opened<'a> {
    pub file: &'a File,
    pub length: u64,
}

impl Bytes for Opened<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }
}

impl Bytes for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let found = start.and_then(|start| self.get(start..)?.get(..into.len()));
        into.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

pub fn unreadable(error: impl std::borrow::Borrow<io::Error>) -> Reason {
    Reason::Unreadable(error.borrow().to_string())
}

/// Pieces in which tables are gone through.
const CHUNK: usize = 256 << 10;
/// How much is visible behind a hit: longer than any name that is looked for.
const BEHIND: usize = 128;

/// Calls `hit` with the position and the bytes from there on, for each place in the range where `needle` is. Goes on
/// until `hit` says that it has enough.
pub fn search(
    bytes: &(impl Bytes + ?Sized),
    offset: u64,
    length: u64,
    needle: &[u8],
    mut hit: impl FnMut(u64, &[u8]) -> bool,
) -> Result<(), Reason> {
    let finder = Finder::new(needle);
    let end = offset
        .checked_add(length)
        .filter(|end| *end <= bytes.length())
        .ok_or(Reason::Damaged("a part lies behind the end of the file"))?;
    let mut chunk = vec![0; CHUNK + BEHIND];
    let mut at = offset;
    while at < end {
        let size = chunk.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let window = chunk.get_mut(..size).unwrap_or_default();
        bytes.read_at(at, window).map_err(unreadable)?;
        // What begins in the last bytes begins in the next piece, too.
        for found in finder.find_iter(window).take_while(|found| *found < CHUNK) {
            if !hit(at + found as u64, window.get(found..).unwrap_or_default()) {
                return Ok(());
            }
        }
        at += CHUNK as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_across_chunks() {
        for place in [
            0,
            1,
            CHUNK - 3,
            CHUNK - 1,
            CHUNK,
            CHUNK + BEHIND - 2,
            2 * CHUNK - 1,
        ] {
            let mut text = vec![b'.'; 3 * CHUNK];
            text[place..place + 6].copy_from_slice(b"needle");
            let mut found = Vec::new();
            search(text.as_slice(), 0, text.len() as u64, b"needle", |at, behind| {
                assert!(behind.starts_with(b"needle"));
                found.push(at);
                true
            })
            .unwrap();
            assert_eq!(found, [place as u64]);
        }
    }

    #[test]
    fn outside() {
        let text = b"abc".as_slice();
        assert!(text.piece(1, 3, 10).is_err());
        assert!(text.piece(u64::MAX, 2, 10).is_err());
        assert!(text.piece(0, 3, 2).is_err());
        assert_eq!(text.piece(1, 2, 2).unwrap(), b"bc");
        assert!(search(text, 2, 2, b"c", |_, _| true).is_err());
    }
}
