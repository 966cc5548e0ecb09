//! The one setting that changes decoding (RFC 9113, section 6.5.2).

const HEADER_TABLE_SIZE: u16 = 0x1;
const ENTRY: usize = 6;

/// What a SETTINGS frame says about the header table of the *other* direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableSize {
    Unchanged,
    Announced(u32),
    /// The frame was longer than what is delivered of it.
    Unknown,
}

impl TableSize {
    /// `whole`: whether `payload` is all of the frame. The largest value of the frame counts: until the last is
    /// in force, each was.
    pub(super) fn decode(payload: &[u8], whole: bool) -> Self {
        let mut announced = None;
        for entry in payload.chunks_exact(ENTRY) {
            if let &[id0, id1, v0, v1, v2, v3] = entry
                && u16::from_be_bytes([id0, id1]) == HEADER_TABLE_SIZE
            {
                announced = announced.max(Some(u32::from_be_bytes([v0, v1, v2, v3])));
            }
        }
        match announced {
            _ if !whole => Self::Unknown,
            Some(size) => Self::Announced(size),
            None => Self::Unchanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_table_size() {
        let check = |payload: &[u8], whole, expected| assert_eq!(TableSize::decode(payload, whole), expected);
        check(&[], true, TableSize::Unchanged);
        check(&[0, 3, 0, 0, 0, 100], true, TableSize::Unchanged);
        check(
            &[0, 3, 0, 0, 0, 100, 0, 1, 0, 0, 16, 0],
            true,
            TableSize::Announced(4096),
        );
        check(
            &[0, 1, 0, 0, 32, 0, 0, 1, 0, 0, 16, 0],
            true,
            TableSize::Announced(8192),
        );
        check(&[0, 1, 0, 0, 16, 0, 9], true, TableSize::Announced(4096));
        check(&[0, 3, 0, 0, 0, 100], false, TableSize::Unknown);
    }
}
