//! `BoringSSL` in programs without symbols: gRPC's wheels for Python, Envoy, and others. Its functions are told by what they
//! are certain to keep: which mistakes of their caller they report, each with a number and the name of the source file,
//! which of each other they call, and which entries of the method's table.
//!
//! The rules hold for all releases since 2020 that were looked at, of three compilers. Each has to fit one function and
//! no other, or nothing is probed.

use std::collections::BTreeMap;

use super::bytes::{Bytes, search};
use super::elf::{Elf, Section};
use super::{Act, Found, Library, Point, RandomPlace, Reason, entry};

mod frames;
mod references;
mod routine;

use frames::Frames;
use routine::Routine;

/// The end of the name of the file that all of the functions are in, up to the zero behind it.
const SOURCE: &[u8] = b"/ssl/ssl_lib.cc\0";
/// What is in front of it: folders of whoever built it.
const MAX_FOLDERS: u64 = 256;
/// Of read-only data that the name is looked for in.
const MAX_DATA: u64 = 64 << 20;
/// Functions of that file that report mistakes: some dozens.
const MAX_ROUTINES: usize = 512;
/// The longest has 2,500 bytes.
const MAX_ROUTINE: u64 = 16 << 10;

/// `BoringSSL`'s numbers of mistakes, which are part of its interface.
mod mistake {
    /// `ERR_R_SHOULD_NOT_HAVE_BEEN_CALLED`
    pub const UNCALLED: u32 = 66;
    pub const BAD_LENGTH: u32 = 111;
    pub const NULL_SSL_CTX: u32 = 185;
    pub const PROTOCOL_IS_SHUTDOWN: u32 = 194;
    pub const SSL_HANDSHAKE_FAILURE: u32 = 215;
    pub const UNINITIALIZED: u32 = 226;
}

/// Entries of `SSL_PROTOCOL_METHOD`, by where they are in it.
mod method {
    pub const SSL_NEW: u64 = 8;
    pub const SSL_FREE: u64 = 16;
}

/// So it is in all releases that were looked at. It is believed only where what is found there was seen on the wire.
const RANDOM: RandomPlace = RandomPlace {
    pointer: Some(0x30),
    offset: 0x30,
};

/// `None`: it is not in there.
pub fn judge<B: Bytes + ?Sized>(elf: &Elf<'_, B>) -> Result<Option<Found>, Reason> {
    let Some(source) = source(elf)? else {
        return Ok(None);
    };
    let text = elf.section(".text").ok_or_else(|| uncertain("it has no code"))?;
    let frames = Frames::read(elf)?;
    let routines = routines(elf, text, &frames, source)?;
    let functions = [
        (Act::Created, creating(&routines)?),
        (Act::Freed, freeing(elf, &frames, &routines)?),
        (Act::Write, writing(&routines)?),
        (Act::Read, reading(&routines)?),
    ];
    let point = |(act, address)| {
        let offset = elf.code_offset(address);
        let offset = offset.ok_or(Reason::Damaged("a function outside of the code"))?;
        let (offset, _) = entry::beginning(elf, offset)?;
        Ok(Point { act, offset })
    };
    Ok(Some(Found {
        library: Library::BoringSsl,
        version: None,
        points: functions.into_iter().map(point).collect::<Result<_, _>>()?,
        random: Some(RANDOM),
    }))
}

const fn uncertain(what: &'static str) -> Reason {
    Reason::StrippedBoringSsl(what)
}

/// The address of the name of the source file.
fn source<B: Bytes + ?Sized>(elf: &Elf<'_, B>) -> Result<Option<u64>, Reason> {
    let Some(data) = elf.section(".rodata") else {
        return Ok(None);
    };
    let mut ends = Vec::new();
    search(
        elf.bytes(),
        data.offset,
        data.length.min(MAX_DATA),
        SOURCE,
        |at, _| {
            ends.push(at);
            ends.len() < 2
        },
    )?;
    let end = match ends.as_slice() {
        [] => return Ok(None),
        [end] => *end,
        _ => return Err(uncertain("it is there more than once")),
    };
    let from = end.saturating_sub(MAX_FOLDERS).max(data.offset);
    let folders = elf.bytes().piece(from, end - from, MAX_FOLDERS)?;
    let start = folders
        .iter()
        .rposition(|byte| *byte == 0)
        .map_or(0, |zero| zero + 1);
    Ok(Some(data.address + (from + start as u64 - data.offset)))
}

/// All functions that name the file, by address.
fn routines<B: Bytes + ?Sized>(
    elf: &Elf<'_, B>,
    text: &Section,
    frames: &Frames,
    source: u64,
) -> Result<BTreeMap<u64, Routine>, Reason> {
    let mut found = BTreeMap::new();
    for reference in references::to(elf.bytes(), text, source)? {
        let Some((start, end)) = frames.around(reference) else {
            return Err(uncertain("a function has no frame"));
        };
        if let std::collections::btree_map::Entry::Vacant(place) = found.entry(start) {
            place.insert(routine(elf, start, end, source)?);
        }
        if found.len() > MAX_ROUTINES {
            return Err(uncertain("too many functions report mistakes"));
        }
    }
    Ok(found)
}

fn routine<B: Bytes + ?Sized>(
    elf: &Elf<'_, B>,
    start: u64,
    end: u64,
    source: u64,
) -> Result<Routine, Reason> {
    let offset = elf
        .code_offset(start)
        .ok_or(Reason::Damaged("a function outside of the code"))?;
    let length = end.saturating_sub(start).min(MAX_ROUTINE);
    let length = length.min(elf.bytes().length().saturating_sub(offset));
    let code = elf.bytes().piece(offset, length, MAX_ROUTINE)?;
    Ok(Routine::read(&code, start, source))
}

/// The address of the one function that fits.
fn only(
    routines: &BTreeMap<u64, Routine>,
    missing: &'static str,
    fits: impl Fn(&Routine) -> bool,
) -> Result<u64, Reason> {
    let mut fitting = routines.iter().filter(|(_, routine)| fits(routine));
    match (fitting.next(), fitting.next()) {
        (Some((address, _)), None) => Ok(*address),
        _ => Err(uncertain(missing)),
    }
}

/// `SSL_new`: it is handed no context.
fn creating(routines: &BTreeMap<u64, Routine>) -> Result<u64, Reason> {
    only(routines, "SSL_new", |routine| {
        routine.reports(&[mistake::NULL_SSL_CTX])
    })
}

/// `SSL_write`.
fn writing(routines: &BTreeMap<u64, Routine>) -> Result<u64, Reason> {
    const CERTAIN: [u32; 3] = [
        mistake::UNCALLED,
        mistake::UNINITIALIZED,
        mistake::SSL_HANDSHAKE_FAILURE,
    ];
    // One of them, of the length or of a connection that was shut down, in most releases.
    const MORE: [u32; 2] = [mistake::BAD_LENGTH, mistake::PROTOCOL_IS_SHUTDOWN];
    only(routines, "SSL_write", |routine| {
        routine.reports(&CERTAIN)
            && routine
                .mistakes
                .iter()
                .all(|mistake| CERTAIN.contains(mistake) || MORE.contains(mistake))
    })
}

/// `SSL_read`, which is `SSL_peek` and then takes what was seen off the connection: what it does not do, the other one does not
/// either. Both get what there is from one function.
fn reading(routines: &BTreeMap<u64, Routine>) -> Result<u64, Reason> {
    let getting = only(routines, "what SSL_read gets its bytes from", |routine| {
        routine.reports(&[mistake::UNINITIALIZED, mistake::SSL_HANDSHAKE_FAILURE])
            && !routine.mistakes.contains(&mistake::UNCALLED)
    })?;
    only(routines, "SSL_read", |routine| {
        routine.mistakes.iter().eq([&mistake::UNCALLED]) && routine.calls.contains(&getting) && routine.stores
    })
}

/// The end of an object: what `SSL_new` calls with the new one when it cannot be set up, and that calls the method's function for
/// freeing. It is what `SSL_free` calls, or `SSL_free` itself.
fn freeing<B: Bytes + ?Sized>(
    elf: &Elf<'_, B>,
    frames: &Frames,
    routines: &BTreeMap<u64, Routine>,
) -> Result<u64, Reason> {
    let missing = || uncertain("SSL_free");
    let new = routines.get(&creating(routines)?).ok_or_else(missing)?;
    if !new.through.contains(&method::SSL_NEW) {
        return Err(missing());
    }
    let mut found = Vec::new();
    for address in &new.handed {
        let Some((start, end)) = frames.around(*address).filter(|(start, _)| start == address) else {
            continue;
        };
        if routine(elf, start, end, 0)?.through.contains(&method::SSL_FREE) {
            found.push(start);
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        _ => Err(missing()),
    }
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests;
