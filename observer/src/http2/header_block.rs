//! What stands around the fields in HEADERS and `PUSH_PROMISE` (RFC 9113, sections 6.2 and 6.6).

use std::ops::Range;

use observer_ebpf::record::{HEADERS, PADDED, PRIORITY_FLAG, PUSH_PROMISE};

const PRIORITY: usize = 5;
const PROMISED_STREAM: usize = 4;

/// Where in a frame's payload of `length` bytes the fields stand; `first` is its first byte. `None` where
/// padding and fixed fields leave no room.
#[inline]
pub(super) fn fields(frame_type: u8, flags: u8, length: usize, first: Option<u8>) -> Option<Range<usize>> {
    let mut start = 0_usize;
    let mut padding = 0_usize;
    if flags & PADDED != 0 {
        padding = usize::from(first?);
        start += 1;
    }
    if frame_type == HEADERS && flags & PRIORITY_FLAG != 0 {
        start += PRIORITY;
    }
    if frame_type == PUSH_PROMISE {
        start += PROMISED_STREAM;
    }
    let end = length.checked_sub(padding)?;
    (start <= end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_around_is_stripped() {
        let check = |frame_type, flags, length, first, expected| {
            assert_eq!(fields(frame_type, flags, length, first), expected);
        };
        check(HEADERS, 0, 10, Some(9), Some(0..10));
        check(HEADERS, 0, 0, None, Some(0..0));
        check(HEADERS, PADDED, 10, Some(3), Some(1..7));
        check(HEADERS, PADDED, 10, Some(9), Some(1..1));
        check(HEADERS, PADDED, 10, Some(10), None);
        check(HEADERS, PADDED, 0, None, None);
        check(HEADERS, PRIORITY_FLAG, 10, Some(3), Some(5..10));
        check(HEADERS, PRIORITY_FLAG, 4, Some(3), None);
        check(HEADERS, PADDED | PRIORITY_FLAG, 10, Some(4), Some(6..6));
        check(PUSH_PROMISE, PRIORITY_FLAG, 10, Some(4), Some(4..10));
        check(PUSH_PROMISE, PADDED, 10, Some(2), Some(5..8));
    }
}
