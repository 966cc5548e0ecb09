//! Bytes of a file, with the place where one is.

use std::io::{self, Read};

use super::{Cause, Damage};

#[derive(Debug)]
pub(super) struct Input<R> {
    inner: R,
    offset: u64,
}

impl<R: Read> Input<R> {
    pub(super) const fn new(inner: R) -> Self {
        Self { inner, offset: 0 }
    }

    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Fills the buffer; less only at the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// `N` bytes of a `what` that began at `begun`.
    pub(super) fn take<const N: usize>(&mut self, begun: u64, what: &'static str) -> Result<[u8; N], Damage> {
        let mut bytes = [0; N];
        let filled = self.fill(&mut bytes);
        whole(filled, N, begun, what)?;
        Ok(bytes)
    }

    /// The first `N` bytes of a `what`; `None`: there is nothing any more.
    pub(super) fn begin<const N: usize>(&mut self, what: &'static str) -> Result<Option<[u8; N]>, Damage> {
        let begun = self.offset;
        let mut bytes = [0; N];
        let filled = self.fill(&mut bytes);
        if matches!(filled, Ok(0)) {
            return Ok(None);
        }
        whole(filled, N, begun, what)?;
        Ok(Some(bytes))
    }

    /// `length` bytes to the buffer. The caller has bounded the length.
    pub(super) fn read(
        &mut self,
        buffer: &mut Vec<u8>,
        length: usize,
        begun: u64,
        what: &'static str,
    ) -> Result<(), Damage> {
        buffer.resize(length, 0);
        let filled = self.fill(buffer);
        whole(filled, length, begun, what)
    }

    pub(super) fn skip(&mut self, mut length: u64, begun: u64, what: &'static str) -> Result<(), Damage> {
        let mut bytes = [0; 4096];
        while length > 0 {
            let most = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
            let filled = self.fill(bytes.get_mut(..most).unwrap_or_default());
            whole(filled, most, begun, what)?;
            length -= most as u64;
        }
        Ok(())
    }
}

fn whole(filled: io::Result<usize>, wanted: usize, offset: u64, what: &'static str) -> Result<(), Damage> {
    let cause = match filled {
        Ok(filled) if filled == wanted => return Ok(()),
        Ok(_) => Cause::Truncated(what),
        Err(error) => Cause::Read(error),
    };
    Err(Damage { offset, cause })
}
