//! Where functions begin, without symbols: in the table that exceptions are unwound by. Every compiler writes it for
//! C++, and nobody strips it.

use crate::tls::Reason;
use crate::tls::bytes::Bytes;
use crate::tls::elf::Elf;

/// Of Envoy, with its 240,000 functions, 2 MB.
const MAX_TABLE: u64 = 32 << 20;
/// Version 1; a pointer of four bytes, a number of four, and a sorted table of pairs relative to the section: as all linkers write it.
const USUAL: [u8; 4] = [1, 0x1b, 0x03, 0x3b];
const HEAD: usize = 12;

/// Addresses at which functions begin, sorted.
#[derive(Debug)]
pub struct Frames(Vec<u64>);

impl Frames {
    pub fn read<B: Bytes + ?Sized>(elf: &Elf<'_, B>) -> Result<Self, Reason> {
        let missing = Reason::StrippedBoringSsl("it has no table of frames");
        let section = elf.section(".eh_frame_hdr").ok_or(missing)?;
        if section.length > MAX_TABLE {
            return Err(Reason::Damaged("the table of frames"));
        }
        let table = elf.content(section, MAX_TABLE)?;
        let starts = starts(&table, section.address).ok_or(Reason::Damaged("the table of frames"))?;
        Ok(Self(starts))
    }

    /// The function that an address is in, and where the next one begins; `None`: in front of the first, or in the last, whose
    /// end is not known.
    pub fn around(&self, address: u64) -> Option<(u64, u64)> {
        let behind = self.0.partition_point(|start| *start <= address);
        let start = *self.0.get(behind.checked_sub(1)?)?;
        Some((start, *self.0.get(behind)?))
    }
}

fn starts(table: &[u8], address: u64) -> Option<Vec<u64>> {
    if !table.starts_with(&USUAL) {
        return None;
    }
    let count = u32::from_le_bytes(table.get(8..HEAD)?.try_into().ok()?);
    let length = usize::try_from(count).ok()?.checked_mul(8)?;
    let entries = table.get(HEAD..)?.get(..length)?;
    let starts: Vec<_> = entries
        .as_chunks::<8>()
        .0
        .iter()
        .map(|[a, b, c, d, ..]| {
            let relative = i64::from(i32::from_le_bytes([*a, *b, *c, *d]));
            address.wrapping_add_signed(relative)
        })
        .collect();
    starts.is_sorted().then_some(starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(entries: &[i32]) -> Vec<u8> {
        let count = u32::try_from(entries.len()).unwrap();
        let mut table = [USUAL, [0; 4], count.to_le_bytes()].concat();
        for entry in entries {
            table.extend([entry.to_le_bytes(), [0; 4]].as_flattened());
        }
        table
    }

    #[test]
    fn functions_around_addresses() {
        let frames = Frames(starts(&table(&[-0x100, -0x80, 0x40]), 0x1000).unwrap());
        assert_eq!(frames.around(0xeff), None, "in front of the first");
        assert_eq!(frames.around(0xf00), Some((0xf00, 0xf80)));
        assert_eq!(frames.around(0xf7f), Some((0xf00, 0xf80)));
        assert_eq!(frames.around(0xf80), Some((0xf80, 0x1040)));
        assert_eq!(frames.around(0x1040), None, "the last has no end");
    }

    #[test]
    fn tables_that_are_not_believed() {
        assert_eq!(starts(&table(&[0x40, 0]), 0x1000), None, "not sorted");
        let cut = table(&[0, 0x40]);
        assert_eq!(starts(&cut[..cut.len() - 1], 0x1000), None, "cut");
        let mut other = table(&[0]);
        other[3] = 0x1b;
        assert_eq!(starts(&other, 0), None, "another form");
    }

    proptest! {
        #[test]
        fn any_table(entries: Vec<i32>, address: u64, at: u64, rest: Vec<u8>) {
            let table = [table(&entries), rest].concat();
            if let Some(starts) = starts(&table, address) {
                let _ = Frames(starts).around(at);
            }
        }
    }
}
