//! Numbers from a table that is gone through nearly in order, without holding all of it.

use crate::tls::Reason;
use crate::tls::bytes::{Bytes, unreadable};

/// What is read at once.
const SIZE: usize = 64 << 10;
/// How often: 512 MiB. A table that leads to and fro is not one that a compiler made.
const MAX_READS: u32 = 8192;

pub struct Window<'a, B: ?Sized> {
    bytes: &'a B,
    end: u64,
    start: u64,
    held: Vec<u8>,
    reads: u32,
}

impl<'a, B: Bytes + ?Sized> Window<'a, B> {
    /// Of what lies before `end`.
    pub fn new(bytes: &'a B, end: u64) -> Self {
        Self {
            bytes,
            end: end.min(bytes.length()),
            start: 0,
            held: Vec::new(),
            reads: 0,
        }
    }

    /// The number of `width` bytes, eight at most, at an offset.
    pub fn number(&mut self, offset: u64, width: u64) -> Result<u64, Reason> {
        if let Some(number) = self.held(offset, width) {
            return Ok(number);
        }
        self.reads += 1;
        if self.reads > MAX_READS {
            return Err(Reason::NoGoTable("it leads to and fro"));
        }
        let rest = self.end.saturating_sub(offset);
        let size = SIZE.min(usize::try_from(rest).unwrap_or(SIZE));
        self.start = offset;
        self.held.resize(size, 0);
        self.bytes.read_at(offset, &mut self.held).map_err(unreadable)?;
        self.held(offset, width)
            .ok_or(Reason::NoGoTable("it points outside of itself"))
    }

    fn held(&self, offset: u64, width: u64) -> Option<u64> {
        let start = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let found = self.held.get(start..)?.get(..usize::try_from(width).ok()?)?;
        let mut number = [0; 8];
        number.get_mut(..found.len())?.copy_from_slice(found);
        Some(u64::from_le_bytes(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * SIZE).collect();
        let mut window = Window::new(bytes.as_slice(), bytes.len() as u64 - 2);
        assert_eq!(window.number(1, 2), Ok(0x0201));
        assert_eq!(window.number(SIZE as u64 - 1, 4), Ok(0x0201_00ff));
        assert_eq!(window.number(0, 8), Ok(0x0706_0504_0302_0100));
        let last = bytes.len() as u64 - 4;
        assert_eq!(window.number(last, 2), Ok(0xfdfc));
        assert!(window.number(last, 4).is_err());
        assert!(window.number(u64::MAX, 4).is_err());
    }
}
