//! The representations of RFC 7541, section 6, as they stand in a block: nothing is looked up here.

use super::{Malformed, Text, integer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Representation<'a> {
    Indexed(u32),
    Literal {
        name: NameForm<'a>,
        value: Text<'a>,
        /// Whether the field enters the dynamic table. "Without" and "never indexed" are the same to a decoder.
        indexing: bool,
    },
    SizeUpdate(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameForm<'a> {
    Indexed(u32),
    Literal(Text<'a>),
}

impl<'a> Representation<'a> {
    #[inline]
    pub(super) fn decode(input: &mut &'a [u8]) -> Result<Self, Malformed> {
        match input.first().copied().ok_or(Malformed::Truncated)? {
            0b1000_0000.. => Ok(Self::Indexed(integer::decode(input, 7)?)),
            0b0100_0000.. => Self::literal(input, 6, true),
            0b0010_0000.. => Ok(Self::SizeUpdate(integer::decode(input, 5)?)),
            _ => Self::literal(input, 4, false),
        }
    }

    fn literal(input: &mut &'a [u8], prefix: u32, indexing: bool) -> Result<Self, Malformed> {
        let name = match integer::decode(input, prefix)? {
            0 => NameForm::Literal(Text::decode(input)?),
            index => NameForm::Indexed(index),
        };
        Ok(Self::Literal {
            name,
            value: Text::decode(input)?,
            indexing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<Representation<'_>, Malformed>) {
        let mut input = bytes;
        let found = Representation::decode(&mut input);
        assert_eq!(found, expected, "{bytes:x?}");
        assert!(found.is_err() || input.is_empty(), "{bytes:x?} leaves {input:x?}");
    }

    #[test]
    fn every_form() {
        let value = Text::plain(b"v");
        let known = NameForm::Indexed(4);
        let told = NameForm::Literal(Text::plain(b"n"));
        check(&[0x82], Ok(Representation::Indexed(2)));
        check(&[0x80], Ok(Representation::Indexed(0)));
        check(
            &[0x44, 1, b'v'],
            Ok(Representation::Literal {
                name: known,
                value,
                indexing: true,
            }),
        );
        check(
            &[0x40, 1, b'n', 1, b'v'],
            Ok(Representation::Literal {
                name: told,
                value,
                indexing: true,
            }),
        );
        check(
            &[0x04, 1, b'v'],
            Ok(Representation::Literal {
                name: known,
                value,
                indexing: false,
            }),
        );
        check(
            &[0x10, 1, b'n', 1, b'v'],
            Ok(Representation::Literal {
                name: told,
                value,
                indexing: false,
            }),
        );
        check(&[0x3f, 0xe1, 0x1f], Ok(Representation::SizeUpdate(4096)));
    }

    #[test]
    fn cut_short() {
        for bytes in [
            &[][..],
            &[0x44],
            &[0x44, 2, b'v'],
            &[0x40, 3, b'n'],
            &[0x40, 1, b'n'],
            &[0x3f],
        ] {
            check(bytes, Err(Malformed::Truncated));
        }
    }
}
