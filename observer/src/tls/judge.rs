//! What one file holds: every kind of TLS that is known, and what hints say of others.

use std::path::Path;

use super::bytes::{Bytes, search};
use super::elf::Elf;
use super::{Found, Reason, boring, go, openssl};

/// Of the read-only data that hints are looked for in.
const MAX_DATA: u64 = 64 << 20;

/// All that is worth saying; empty: no TLS in there. `name` is the file as its process names it.
pub fn judge(bytes: &(impl Bytes + ?Sized), name: &Path) -> Vec<Result<Found, Reason>> {
    let elf = match Elf::read(bytes) {
        Ok(Some(elf)) => elf,
        // Made at run time, or data.
        Ok(None) => return Vec::new(),
        Err(reason) => return vec![Err(reason)],
    };
    let found = [go::judge(&elf), openssl::judge(&elf, name)];
    let mut found: Vec<_> = found.into_iter().filter_map(Result::transpose).collect();
    if found.is_empty() {
        found.extend(boring::judge(&elf).transpose());
    }
    if found.is_empty() {
        found.extend(hint(&elf).map(Err));
    }
    found
}

/// A library that is known by what it says when it fails: the path of a source file.
fn hint<B: Bytes + ?Sized>(elf: &Elf<'_, B>) -> Option<Reason> {
    const HINT: &str = "/rustls-0.";
    let data = elf.section(".rodata")?;
    let length = data.length.min(MAX_DATA);
    let mut found = false;
    let searched = search(elf.bytes(), data.offset, length, HINT.as_bytes(), |_, _| {
        found = true;
        false
    });
    (found && searched.is_ok()).then_some(Reason::Rustls)
}
