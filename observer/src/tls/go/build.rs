//! Which Go compiled a program: the section `.go.buildinfo`, as `go version` reads it.

use crate::tls::Reason;
use crate::tls::bytes::Bytes;
use crate::tls::elf::{Elf, Section};

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Flag: the texts follow, instead of pointers to them (since 1.18).
const INLINE: u8 = 2;
/// Where they begin.
const TEXTS: usize = 32;
const MAX_VERSION: usize = 100;

const NOT_A_VERSION: Reason = Reason::NamelessGo("its build information cannot be read");

pub fn version<B: Bytes + ?Sized>(elf: &Elf<'_, B>, section: &Section) -> Result<String, Reason> {
    let content = elf.content(section, 4096)?;
    if !content.starts_with(MAGIC) {
        return Err(NOT_A_VERSION);
    }
    let [size, flags] = [14, 15].map(|at| content.get(at).copied().unwrap_or(0));
    let text = if flags & INLINE == 0 {
        pointed(elf, &content, size).ok_or(NOT_A_VERSION)?
    } else {
        inline(content.get(TEXTS..).unwrap_or_default()).ok_or(NOT_A_VERSION)?
    };
    let text = String::from_utf8(text).map_err(|_| NOT_A_VERSION)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(NOT_A_VERSION);
    }
    Ok(text)
}

/// A length of at most two bytes, seven bits each, and the text.
fn inline(texts: &[u8]) -> Option<Vec<u8>> {
    let (length, text) = match *texts {
        [length, ref text @ ..] if length < 0x80 => (usize::from(length), text),
        _ => return None,
    };
    text.get(..length.min(MAX_VERSION)).map(<[u8]>::to_vec)
}

/// A pointer to a pointer and a length, as 1.17 had it.
fn pointed<B: Bytes + ?Sized>(elf: &Elf<'_, B>, content: &[u8], size: u8) -> Option<Vec<u8>> {
    if size != 8 {
        return None;
    }
    let header = u64::from_le_bytes(content.get(16..24)?.try_into().ok()?);
    let header = elf.bytes().piece(elf.offset(header)?, 16, 16).ok()?;
    let (text, length) = header.split_first_chunk::<8>()?;
    let length = u64::from_le_bytes(length.try_into().ok()?).min(MAX_VERSION as u64);
    let text = elf.offset(u64::from_le_bytes(*text))?;
    elf.bytes().piece(text, length, MAX_VERSION as u64).ok()
}

/// Whether arguments are in registers: `go1.17` and newer, also `devel go1.24-abc`. Version 2 has not come yet.
pub fn has_registers(version: &str) -> bool {
    let minor = version.split_once("go1.").map(|(_, rest)| rest);
    let minor = minor.and_then(|rest| rest.split(|digit: char| !digit.is_ascii_digit()).next());
    minor
        .and_then(|minor| minor.parse::<u32>().ok())
        .is_some_and(|minor| minor >= 17)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers() {
        for version in [
            "go1.17",
            "go1.27.3",
            "devel go1.24-abc123 Thu",
            "go1.22rc1",
            "go1.21.0 X:boringcrypto",
        ] {
            assert!(has_registers(version), "{version}");
        }
        for version in ["go1.16.15", "go1.9", "go1", "devel +abc", "go2.1", "go1.x"] {
            assert!(!has_registers(version), "{version}");
        }
    }

    #[test]
    fn texts() {
        assert_eq!(inline(b"\x06go1.22\x00"), Some(b"go1.22".to_vec()));
        assert_eq!(inline(b"\x07go1.22"), None);
        assert_eq!(inline(b""), None);
    }
}
