//! OpenSSL and what has its interface (`BoringSSL`, `LibreSSL`), as a shared library or linked into a program that kept the
//! names.

use std::collections::HashMap;
use std::path::Path;

use super::bytes::Bytes;
use super::elf::{Elf, Symbol};
use super::{Act, Found, Library, Point, RandomPlace, Reason, entry, random};

const PREFIX: &str = "SSL_";

const NEEDED: [(&str, Act); 4] = [
    ("SSL_new", Act::Created),
    ("SSL_free", Act::Freed),
    ("SSL_read", Act::Read),
    ("SSL_write", Act::Write),
];
const OPTIONAL: [(&str, Act); 3] = [
    ("SSL_clear", Act::Cleared),
    ("SSL_read_ex", Act::ReadEx),
    ("SSL_write_ex", Act::WriteEx),
];
/// Of the same act: by the return value, and into memory.
const PAIRS: [[(&str, Act); 2]; 2] = [
    [("SSL_read", Act::Read), ("SSL_read_ex", Act::ReadEx)],
    [("SSL_write", Act::Write), ("SSL_write_ex", Act::WriteEx)],
];
const RANDOM: &str = "SSL_get_client_random";
/// `BoringSSL` alone has it.
const BORING: &str = "SSL_set_custom_verify";

/// Of one of a pair: OpenSSL's have 131 bytes.
const MAX_FUNCTION: u64 = 4096;

/// Of the data of a program that a version is looked for in; Node has 47 MB.
const MAX_DATA: u64 = 64 << 20;

/// `None`: it is not in there.
pub fn judge<B: Bytes + ?Sized>(elf: &Elf<'_, B>, name: &Path) -> Result<Option<Found>, Reason> {
    let points = NEEDED.iter().chain(&OPTIONAL);
    let mut wanted: Vec<&'static str> = points.clone().map(|(name, _)| *name).collect();
    wanted.extend([RANDOM, BORING]);
    let functions = elf.functions(PREFIX, &wanted)?;
    if !functions.contains_key("SSL_read") && !functions.contains_key("SSL_write") {
        return Ok(None);
    }
    if let Some((missing, _)) = NEEDED.iter().find(|(name, _)| !functions.contains_key(name)) {
        return Err(Reason::Incomplete(missing));
    }
    let offset = |(name, act): &(&'static str, Act)| {
        let symbol = functions.get(name)?;
        let offset = elf.code_offset(symbol.address);
        Some(
            offset
                .map(|offset| Point { act: *act, offset })
                .ok_or(Reason::Damaged("a function outside of the code")),
        )
    };
    let mut points = points.filter_map(offset).collect::<Result<Vec<_>, _>>()?;
    for point in &mut points {
        point.offset = entry::beginning(elf, point.offset)?.0;
    }
    let found = PAIRS.map(|pair| shared(elf, &functions, pair));
    // What everything calls (`__fentry__`) does no work of theirs.
    let [reading, writing] = found;
    let is_theirs = reading.is_none() || reading != writing;
    for (pair, offset) in PAIRS.into_iter().zip(found) {
        if let Some(offset) = offset.filter(|_| is_theirs) {
            let [(_, plain), (_, extended)] = pair;
            points.retain(|point| ![plain, extended].contains(&point.act));
            points.push(Point {
                act: extended,
                offset,
            });
        }
    }
    let library = if functions.contains_key(BORING) {
        Library::BoringSsl
    } else {
        Library::OpenSsl
    };
    Ok(Some(Found {
        library,
        version: version(elf, library, name),
        points,
        random: place(elf, &functions),
    }))
}

/// The function that does the work of both of a pair, where it is cheaper to probe than they are. In OpenSSL it has no name that
/// is kept; it is what the extended one passes its arguments on to, and what the plain one calls, once.
fn shared<B: Bytes + ?Sized>(
    elf: &Elf<'_, B>,
    functions: &HashMap<&'static str, Symbol>,
    pair: [(&str, Act); 2],
) -> Option<u64> {
    let [plain, extended] = pair.map(|(name, _)| functions.get(name).copied());
    let (plain, extended) = (plain?, extended?);
    let is_cheap = |symbol: Symbol| Some(entry::beginning(elf, elf.code_offset(symbol.address)?).ok()?.1);
    if is_cheap(plain)? && is_cheap(extended)? {
        return None;
    }
    let code = |symbol: Symbol| {
        let offset = elf.code_offset(symbol.address)?;
        elf.bytes().piece(offset, symbol.size, MAX_FUNCTION).ok()
    };
    let target = entry::passed_on(&code(extended)?, extended.address)?;
    let calls = entry::calls(&code(plain)?, plain.address, target)?;
    let (offset, is_cheap) = entry::beginning(elf, elf.code_offset(target)?).ok()?;
    (calls.len() == 1 && is_cheap).then_some(offset)
}

fn place<B: Bytes + ?Sized>(
    elf: &Elf<'_, B>,
    functions: &HashMap<&'static str, Symbol>,
) -> Option<RandomPlace> {
    let symbol = functions.get(RANDOM)?;
    let offset = elf.code_offset(symbol.address)?;
    let size = if symbol.size == 0 {
        random::MAX_CODE
    } else {
        symbol.size
    };
    let size = size
        .min(random::MAX_CODE)
        .min(elf.bytes().length().saturating_sub(offset));
    let code = elf.bytes().piece(offset, size, random::MAX_CODE).ok()?;
    random::place(&code, symbol.address)
}

/// A shared library says in its name what its interface is, and no more: the full number is in libcrypto. A program
/// that has both in it has the whole text.
fn version<B: Bytes + ?Sized>(elf: &Elf<'_, B>, library: Library, name: &Path) -> Option<String> {
    if library == Library::BoringSsl {
        return None;
    }
    let name = name
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if let Some((_, version)) = name.split_once(".so.")
        && version
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
    {
        return Some(version.to_owned());
    }
    elf.version_behind("OpenSSL ", MAX_DATA)
}
