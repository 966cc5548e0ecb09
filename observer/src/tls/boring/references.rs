//! Which instructions take the address of something: `lea register, [rip + distance]`. Code is searched for their bytes,
//! not disassembled: a browser has 100 MB of it.

use memchr::memchr_iter;

use crate::tls::Reason;
use crate::tls::bytes::{Bytes, unreadable};
use crate::tls::elf::Section;

/// Of code that is searched.
const MAX_CODE: u64 = 256 << 20;
const CHUNK: usize = 256 << 10;
/// Prefix, operation, operands, distance.
const LENGTH: usize = 7;
/// `lea`
const OPERATION: u8 = 0x8d;

/// The addresses of all that take the address `target`. What only looks like one is among them: whoever asks has to read
/// the function that it is in.
pub fn to(bytes: &(impl Bytes + ?Sized), text: &Section, target: u64) -> Result<Vec<u64>, Reason> {
    if text.length > MAX_CODE {
        return Err(Reason::StrippedBoringSsl("there is too much code to search"));
    }
    let mut found = Vec::new();
    let mut chunk = vec![0; CHUNK + LENGTH - 1];
    let mut at = 0;
    while at < text.length {
        let size = chunk
            .len()
            .min(usize::try_from(text.length - at).unwrap_or(usize::MAX));
        let window = chunk.get_mut(..size).unwrap_or_default();
        bytes
            .read_at(text.offset.saturating_add(at), window)
            .map_err(unreadable)?;
        let address = text.address.wrapping_add(at);
        // What begins in the last bytes is whole in the next piece alone.
        found.extend(here(window, address, target));
        at += CHUNK as u64;
    }
    Ok(found)
}

/// Those that are whole in this piece of code.
fn here(code: &[u8], address: u64, target: u64) -> impl Iterator<Item = u64> {
    memchr_iter(OPERATION, code).filter_map(move |operation| {
        let start = operation.checked_sub(1)?;
        let [prefix, _, operands, a, b, c, d] = *code.get(start..)?.first_chunk::<LENGTH>()?;
        // A register of 64 bits, and memory relative to the next instruction.
        if !matches!(prefix, 0x48 | 0x4c) || operands & 0xc7 != 0x05 {
            return None;
        }
        let distance = i64::from(i32::from_le_bytes([a, b, c, d]));
        let place = address.wrapping_add(start as u64);
        let taken = place.wrapping_add(LENGTH as u64).wrapping_add_signed(distance);
        (taken == target).then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lea(from: usize, target: u64, operands: u8) -> [u8; LENGTH] {
        let behind = i64::try_from(from + LENGTH).unwrap();
        let distance = i32::try_from(target.cast_signed() - behind).unwrap();
        let [a, b, c, d] = distance.to_le_bytes();
        [0x48, OPERATION, operands, a, b, c, d]
    }

    /// Where pieces meet, none is missed and none is there twice.
    #[test]
    fn at_the_borders_of_pieces() {
        const TARGET: u64 = 0x1234;
        let places = [
            0,
            100,
            CHUNK - 7,
            CHUNK - 14,
            2 * CHUNK - 3,
            2 * CHUNK + 5,
            3 * CHUNK,
        ];
        let mut code = vec![0x90; 3 * CHUNK + LENGTH];
        for place in places {
            code[place..place + LENGTH].copy_from_slice(&lea(place, TARGET, 0x0d));
        }
        code[50..57].copy_from_slice(&lea(50, TARGET + 1, 0x0d));
        code[70..77].copy_from_slice(&lea(70, TARGET, 0x4d));
        let text = Section::of_code(0, 0, code.len() as u64);
        let mut expected: Vec<_> = places.iter().map(|place| *place as u64).collect();
        expected.sort_unstable();
        assert_eq!(to(code.as_slice(), &text, TARGET).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn any_code(code: Vec<u8>, address: u64, target: u64) {
            let _ = here(&code, address, target).count();
        }
    }
}
