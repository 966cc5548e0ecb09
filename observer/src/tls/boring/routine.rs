//! What one function does, as far as it is told from others by it.

use std::collections::BTreeSet;

/// A function without a name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Routine {
    /// Numbers of the mistakes that it reports.
    pub mistakes: BTreeSet<u32>,
    /// Functions that it calls.
    pub calls: BTreeSet<u64>,
    /// Those of them that are handed the object whose table's function for setting it up is called as well.
    pub handed: BTreeSet<u64>,
    /// Where in tables that objects begin with the addresses of functions are that it calls.
    pub through: BTreeSet<u64>,
    /// It changes memory that is not its own stack.
    pub stores: bool,
}

impl Routine {
    /// Whether it reports all of these.
    pub fn reports(&self, mistakes: &[u32]) -> bool {
        mistakes.iter().all(|mistake| self.mistakes.contains(mistake))
    }

    /// The function with this code at this address, which names a source file at `source`. One that is not understood has
    /// nothing that others are told by.
    #[cfg(target_arch = "x86_64")]
    pub fn read(code: &[u8], address: u64, source: u64) -> Self {
        x86::read(code, address, source).unwrap_or_default()
    }

    /// Other processors' code is not read.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn read(_: &[u8], _: u64, _: u64) -> Self {
        Self::default()
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;
