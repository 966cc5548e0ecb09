//! The Huffman code of RFC 7541, appendix B, in both directions.
//!
//! The code is canonical: sorted by length, then by symbol, code words count up. So the lengths are the whole
//! table and everything else is computed from them at compile time. Decoding hands symbols to a closure: who
//! only wants the length stores nothing.

use super::Malformed;

const SYMBOLS: usize = 257;
const END_OF_STRING: u16 = 256;
const SHORTEST: u32 = 5;
const LONGEST: u32 = 30;

/// Code word lengths by symbol; the last is end-of-string.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, //
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, //
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, //
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, //
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

static CODE: Code = Code::build();

struct Code {
    /// Symbols in the order of their code words.
    ordered: [u16; SYMBOLS],
    /// By code length: the end (exclusive) of its code words, aligned to the left of 32 bits; never falls.
    ends: [u64; 32],
    /// By code length: what to add to a code word of that length for its place in `ordered`; wraps.
    places: [u32; 32],
    /// By the next 8 bits, where they hold a whole code word: `symbol * 16 + length`; else 0.
    short: [u16; 256],
    /// Code words by symbol.
    words: [u32; SYMBOLS],
}

impl Code {
    #[expect(
        clippy::as_conversions,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "runs in the compiler only, where a mistake is a failed build; `From` is not const"
    )]
    const fn build() -> Self {
        let mut code = Self {
            ordered: [0; SYMBOLS],
            ends: [0; 32],
            places: [0; 32],
            short: [0; 256],
            words: [0; SYMBOLS],
        };
        let mut word = 0_u32;
        let mut place = 0_usize;
        let mut length = 1_u32;
        while length <= LONGEST {
            word <<= 1;
            code.places[length as usize] = (place as u32).wrapping_sub(word);
            let mut symbol = 0_usize;
            while symbol < SYMBOLS {
                if LENGTHS[symbol] as u32 == length {
                    code.ordered[place] = symbol as u16;
                    code.words[symbol] = word;
                    if length <= 8 {
                        let mut tail = 0_u32;
                        while tail < 1 << (8 - length) {
                            code.short[((word << (8 - length)) | tail) as usize] =
                                (symbol as u16) << 4 | length as u16;
                            tail += 1;
                        }
                    }
                    place += 1;
                    word += 1;
                }
                symbol += 1;
            }
            code.ends[length as usize] = (word as u64) << (32 - length);
            length += 1;
        }
        code
    }

    /// The symbol at the left of `bits`, and its length.
    #[inline]
    fn first(&self, bits: u64) -> Option<(u16, u32)> {
        let [top, ..] = bits.to_be_bytes();
        let short = *self.short.get(usize::from(top))?;
        if short != 0 {
            return Some((short >> 4, u32::from(short & 0xf)));
        }
        let left = bits >> 32;
        let length = (SHORTEST..=LONGEST).find(|&length| {
            usize::try_from(length).is_ok_and(|at| self.ends.get(at).is_some_and(|&end| left < end))
        })?;
        let word = u32::try_from(left >> (32 - length)).ok()?;
        let place = self.places.get(usize::try_from(length).ok()?)?.wrapping_add(word);
        let symbol = *self.ordered.get(usize::try_from(place).ok()?)?;
        Some((symbol, length))
    }
}

/// Decodes all of `bytes`.
#[inline]
pub(super) fn decode(bytes: &[u8], mut symbol: impl FnMut(u8)) -> Result<(), Malformed> {
    let mut rest = bytes;
    let mut bits = 0_u64;
    let mut held = 0_u32;
    // While there are eight bytes more, nothing has to be looked at but code words: none is longer than what is held.
    // Of the last byte, bits may stand behind those that are held; they are set once more when it is its turn.
    while let Some(&next) = rest.first_chunk::<8>() {
        bits |= u64::from_be_bytes(next) >> held;
        let taken = (u64::BITS - 1 - held) / 8;
        rest = usize::try_from(taken)
            .ok()
            .and_then(|taken| rest.get(taken..))
            .unwrap_or_default();
        held += taken * 8;
        while held >= LONGEST {
            let (found, length) = CODE.first(bits).ok_or(Malformed::Huffman)?;
            symbol(u8::try_from(found).map_err(|_| Malformed::Huffman)?);
            bits <<= length;
            held -= length;
        }
    }
    loop {
        while held <= 56 {
            let Some((&byte, after)) = rest.split_first() else {
                break;
            };
            bits |= u64::from(byte) << (56 - held);
            held += 8;
            rest = after;
        }
        // What is left may be padding: fewer than 8 bits, all set.
        if held < 8 && bits == u64::MAX.checked_shl(64 - held).unwrap_or(0) {
            return Ok(());
        }
        let (found, length) = CODE.first(bits).ok_or(Malformed::Huffman)?;
        if length > held {
            return Err(Malformed::Huffman);
        }
        // Everything but end-of-string, which must not appear, is a byte.
        symbol(u8::try_from(found).map_err(|_| Malformed::Huffman)?);
        bits <<= length;
        held -= length;
    }
}

/// The length of what `bytes` would decode to.
pub(super) fn decoded_length(bytes: &[u8]) -> Result<u32, Malformed> {
    let mut length = 0_u32;
    decode(bytes, |_| length = length.saturating_add(1))?;
    Ok(length)
}

/// The Huffman form of a text. The observer sends nothing, but what is expected is compared in this form.
#[must_use]
pub fn encode(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u64, 0_u32);
    for &byte in text {
        let symbol = usize::from(byte);
        let length = LENGTHS.get(symbol).map_or(0, |&length| u32::from(length));
        bits = bits << length | u64::from(CODE.words.get(symbol).copied().unwrap_or_default());
        held += length;
        while held >= 8 {
            held -= 8;
            let [.., whole] = (bits >> held).to_be_bytes();
            encoded.push(whole);
        }
    }
    if held > 0 {
        let [.., last] = (bits << (8 - held)).to_be_bytes();
        encoded.push(last | u8::MAX >> held);
    }
    encoded
}

/// A short text in its Huffman form, made by the compiler: names are compared in the form in which they arrive.
/// That is exact, since a valid encoding of a text is the only one.
#[derive(Clone, Copy, Debug)]
pub struct Encoded {
    bytes: [u8; Self::MAX],
    length: usize,
}

impl Encoded {
    const MAX: usize = 16;

    /// Fails the build where the text is too long.
    #[must_use]
    #[expect(
        clippy::as_conversions,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "meant for constants, where a mistake is a failed build; `From` is not const"
    )]
    pub const fn new(text: &[u8]) -> Self {
        let mut encoded = Self {
            bytes: [0; Self::MAX],
            length: 0,
        };
        let (mut bits, mut held, mut at) = (0_u64, 0_u32, 0_usize);
        while at < text.len() {
            let symbol = text[at] as usize;
            let length = LENGTHS[symbol] as u32;
            bits = bits << length | CODE.words[symbol] as u64;
            held += length;
            while held >= 8 {
                encoded.bytes[encoded.length] = (bits >> (held - 8)) as u8;
                encoded.length += 1;
                held -= 8;
            }
            at += 1;
        }
        if held > 0 {
            encoded.bytes[encoded.length] = ((bits << (8 - held)) as u8) | (u8::MAX >> held);
            encoded.length += 1;
        }
        encoded
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

const _: () = assert!(LENGTHS[SYMBOLS - 1] == 30 && CODE_WORDS_ARE_COMPLETE);

/// The code fills its space: the last word is all ones, and it is end-of-string.
#[expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "runs in the compiler only"
)]
const CODE_WORDS_ARE_COMPLETE: bool =
    Code::build().words[END_OF_STRING as usize] == u32::MAX >> (32 - LONGEST);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut text = Vec::new();
        decode(bytes, |byte| text.push(byte))?;
        Ok(text)
    }

    #[test]
    fn examples_of_the_rfc() {
        let check = |bytes: &[u8], text: &str| assert_eq!(decoded(bytes).unwrap(), text.as_bytes());
        check(
            &[
                0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
            ],
            "www.example.com",
        );
        check(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache");
        check(&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f], "custom-key");
        check(&[], "");
        assert_eq!(
            Encoded::new(b"custom-key").bytes(),
            [0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f]
        );
    }

    #[test]
    fn bad_ends() {
        let check = |bytes: &[u8]| assert_eq!(decoded(bytes), Err(Malformed::Huffman), "{bytes:x?}");
        check(&[0xff]); // eight bits of padding
        check(&[0x00]); // '0', then padding of zeros
        check(&[0xff, 0xff, 0xff, 0xff]); // end-of-string
        check(&[0xff, 0xff, 0xff, 0xfc]);
        check(&[0xff, 0xff, 0xfe]); // cut in a long word
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = encode(&text);
            prop_assert_eq!(decoded_length(&bytes), Ok(u32::try_from(text.len()).unwrap()));
            prop_assert_eq!(decoded(&bytes).unwrap(), text);
        }

        #[test]
        fn what_decodes_encodes_to_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(text) = decoded(&bytes) {
                prop_assert_eq!(encode(&text), bytes);
            }
        }
    }
}
