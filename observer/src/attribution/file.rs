//! Reads of the small files of procfs and cgroupfs: whole, bounded, and never trusted to be UTF-8.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// At most `limit` bytes of the file. Kernel files have no length that could be asked for beforehand.
pub fn read(path: &Path, limit: u64) -> io::Result<String> {
    // Nearly all of them fit, and the kernel is then asked twice: for the text and for the end.
    let mut bytes = Vec::with_capacity(4096);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}
