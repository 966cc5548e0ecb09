//! `/proc/PID/maps`: the executable mappings of files. Paths in there are chosen by whoever runs the process.

use std::ffi::OsStr;
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::FileId;

/// One executable mapping of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Name of the mapping in `/proc/PID/map_files`.
    pub range: (u64, u64),
    pub file: FileId,
    /// As the process names it.
    pub path: PathBuf,
    pub deleted: bool,
}

/// Most that is read of one process. A line is about 100 bytes; `vm.max_map_count` is 65,530 unless raised.
const MAX_MAPS: u64 = 16 << 20;
/// Files of one process; a browser has some 200.
const MAX_FILES: usize = 4096;

const DELETED: &[u8] = b" (deleted)";

/// Reads executable mappings until the end, the error or the bound, each file once.
pub fn read(maps: impl io::Read) -> io::Result<Vec<Mapping>> {
    let mut found: Vec<Mapping> = Vec::new();
    each(maps, executable, |mapping| {
        if !found.iter().any(|known| known.file == mapping.file) {
            found.push(mapping);
        }
        found.len() < MAX_FILES
    })?;
    Ok(found)
}

/// The file that is mapped, in whatever way, from the address `start` on.
pub fn at(maps: impl io::Read, start: u64) -> io::Result<Option<FileId>> {
    let mut found = None;
    each(
        maps,
        |_| true,
        |mapping| {
            if mapping.range.0 == start {
                found = Some(mapping.file);
            }
            found.is_none()
        },
    )?;
    Ok(found)
}

/// Hands over the wanted mappings until `handle` has enough.
fn each(
    maps: impl io::Read,
    wanted: fn(&[u8]) -> bool,
    mut handle: impl FnMut(Mapping) -> bool,
) -> io::Result<()> {
    let mut maps = io::BufReader::with_capacity(64 << 10, maps.take(MAX_MAPS));
    let mut line = Vec::new();
    loop {
        line.clear();
        if maps.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Some(mapping) = parse(line.strip_suffix(b"\n").unwrap_or(&line), wanted)
            && !handle(mapping)
        {
            return Ok(());
        }
    }
}

/// `start-end perms offset major:minor inode      path`; `None`: not wanted, not of a file, or not understood.
fn parse(line: &[u8], wanted: fn(&[u8]) -> bool) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let end = rest.iter().position(|byte| *byte == b' ')?;
        let (word, behind) = rest.split_at(end);
        rest = behind.trim_ascii_start();
        std::str::from_utf8(word).ok()
    };
    let (start, end) = field()?.split_once('-')?;
    if !wanted(field()?.as_bytes()) {
        return None;
    }
    field()?;
    let (major, minor) = field()?.split_once(':')?;
    let inode: u64 = field()?.parse().ok()?;
    if inode == 0 || rest.first() != Some(&b'/') {
        return None;
    }
    let number = |text| u64::from_str_radix(text, 16).ok();
    let device = device(hexadecimal(major)?, hexadecimal(minor)?);
    let (path, deleted) = match rest.strip_suffix(DELETED) {
        Some(path) => (path, true),
        None => (rest, false),
    };
    Some(Mapping {
        range: (number(start)?, number(end)?),
        file: FileId { device, inode },
        path: PathBuf::from(OsStr::from_bytes(&unescape(path))),
        deleted,
    })
}

fn executable(permissions: &[u8]) -> bool {
    permissions.get(2) == Some(&b'x')
}

fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

/// As `stat` has it.
pub fn device(major: u32, minor: u32) -> u64 {
    rustix::fs::makedev(major, minor)
}

/// The kernel writes a line feed as `\012` and nothing else so, not even the backslash itself.
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, behind)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(br"\012") {
            plain.push(b'\n');
            rest = behind;
        } else {
            plain.push(byte);
            rest = behind;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str =
        "7f0000001000-7f0000002000 r-xp 00001000 fe:01 1234                       /usr/lib/libssl.so.3";

    fn check(line: &str, expected: Option<(&str, bool)>) {
        let found = parse(line.as_bytes(), executable).map(|mapping| (mapping.path, mapping.deleted));
        let expected = expected.map(|(path, deleted)| (PathBuf::from(path), deleted));
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn lines() {
        check(LINE, Some(("/usr/lib/libssl.so.3", false)));
        check(&format!("{LINE} (deleted)"), Some(("/usr/lib/libssl.so.3", true)));
        check(
            &format!("{LINE} (deleted) (deleted)"),
            Some(("/usr/lib/libssl.so.3 (deleted)", true)),
        );
        check(
            &LINE.replace("lib/", r"a\012b c/"),
            Some(("/usr/a\nb c/libssl.so.3", false)),
        );
        check(&LINE.replace("r-xp", "r--p"), None);
        check(&LINE.replace("1234", "0"), None);
        check(&LINE.replace("1234", "18446744073709551616"), None);
        check(
            "7ffd000-7ffe000 r-xp 00000000 00:00 0                          [vdso]",
            None,
        );
        check("7ffd000-7ffe000 r-xp 00000000 00:00 0 ", None);
    }

    #[test]
    fn identity() {
        let mapping = parse(LINE.as_bytes(), executable).unwrap();
        assert_eq!(mapping.range, (0x7f00_0000_1000, 0x7f00_0000_2000));
        let device = rustix::fs::makedev(0xfe, 1);
        assert_eq!(mapping.file, FileId { device, inode: 1234 });
    }

    #[test]
    fn a_file_mapped_twice_is_one() {
        let twice = format!("{LINE}\n{}\n", LINE.replace("00001000", "00009000"));
        assert_eq!(read(twice.as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn this_process() {
        let maps = read(std::fs::File::open("/proc/self/maps").unwrap()).unwrap();
        let own = std::env::current_exe().unwrap();
        assert!(maps.iter().any(|mapping| mapping.path == own), "{maps:?}");
    }

    proptest! {
        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            let _ = read(bytes.as_slice());
        }

        #[test]
        fn any_tail(tail in "[ -~]{0,40}") {
            let _ = parse(format!("7f0000001000-7f0000002000 r-xp {tail}").as_bytes(), executable);
        }
    }
}
