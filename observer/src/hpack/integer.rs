//! Integers with a prefix (RFC 7541, section 5.1). Nothing above 32 bits has a meaning in HPACK.

use super::Malformed;

/// Reads an integer whose first byte keeps `prefix` bits (1 to 8) for it. Nearly all fit in there.
#[inline]
pub(super) fn decode(input: &mut &[u8], prefix: u32) -> Result<u32, Malformed> {
    let (&first, rest) = input.split_first().ok_or(Malformed::Truncated)?;
    let mask = u8::MAX >> 8_u32.saturating_sub(prefix);
    *input = rest;
    if first & mask == mask {
        decode_rest(input, mask)
    } else {
        Ok(u32::from(first & mask))
    }
}

/// The bytes behind a prefix of ones.
fn decode_rest(input: &mut &[u8], mask: u8) -> Result<u32, Malformed> {
    let mut value = u32::from(mask);
    let mut shift = 0_u32;
    loop {
        let (&byte, rest) = input.split_first().ok_or(Malformed::Truncated)?;
        *input = rest;
        // Five bytes carry 35 bits; a sixth cannot be needed. The limit also ends a run of padding bytes.
        if shift > 28 {
            return Err(Malformed::IntegerOverflow);
        }
        let part = u64::from(byte & 0x7f) << shift;
        value = u32::try_from(u64::from(value) + part).map_err(|_| Malformed::IntegerOverflow)?;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], prefix: u32, expected: Result<(u32, usize), Malformed>) {
        let mut input = bytes;
        let found = decode(&mut input, prefix).map(|value| (value, input.len()));
        assert_eq!(found, expected, "{bytes:x?} with a prefix of {prefix}");
    }

    #[test]
    fn examples_of_the_rfc() {
        check(&[0b0000_1010], 5, Ok((10, 0)));
        check(&[0b1111_1111, 0b1001_1010, 0b0000_1010], 5, Ok((1337, 0)));
        check(&[42, 7], 8, Ok((42, 1)));
    }

    #[test]
    fn edges() {
        check(&[0xff, 0x00], 7, Ok((127, 0)));
        check(&[0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f], 7, Ok((u32::MAX, 0)));
        check(&[0xff, 0x80, 0x80, 0x80, 0x80, 0x00], 8, Ok((255, 0)));
    }

    #[test]
    fn cut_short() {
        check(&[], 7, Err(Malformed::Truncated));
        check(&[0xff], 7, Err(Malformed::Truncated));
        check(&[0xff, 0x80], 7, Err(Malformed::Truncated));
    }

    #[test]
    fn too_large() {
        check(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
            7,
            Err(Malformed::IntegerOverflow),
        );
        check(
            &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
            7,
            Err(Malformed::IntegerOverflow),
        );
        check(&[0xff; 64], 7, Err(Malformed::IntegerOverflow));
    }
}
