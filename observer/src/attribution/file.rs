//! Reads of the small files of procfs and cgroupfs: whole, bounded, and never trusted to be UTF-8.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What is asked for at first: nearly all of them fit.
const ROOM: usize = 4096;
/// The kernel answers with as many lines as there is room for (`seq_read_iter`, since 2.6), and none of the files of several
/// has one of this length. So much room left over is the end, and the kernel need not be asked for it.
const LINE: usize = 1024;

/// At most `limit` bytes of the file. Kernel files have no length that could be asked for beforehand.
pub fn read(path: &Path, limit: u64) -> io::Result<String> {
    let mut file = File::open(path)?.take(limit);
    let mut bytes = vec![0; ROOM];
    let length = file.read(&mut bytes)?;
    bytes.truncate(length);
    if length + LINE > ROOM {
        file.read_to_end(&mut bytes)?;
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    #[test]
    fn files_of_all_lengths() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 1, ROOM - LINE, ROOM - LINE + 1, ROOM, ROOM + 1, 3 * ROOM] {
            let text = "line\n".repeat(length / 5 + 1)[..length].to_owned();
            std::fs::write(&path, &text).unwrap();
            assert_eq!(read(&path, 1 << 20).unwrap(), text, "{length}");
            let limit = length / 2;
            assert_eq!(read(&path, limit as u64).unwrap(), text[..limit], "{length}");
        }
        std::fs::write(&path, b"\xff\n").unwrap();
        assert_eq!(read(&path, 9).unwrap(), "\u{fffd}\n");
        assert!(read(&folder.path().join("none"), 9).is_err());
    }

    /// Of these the kernel has more than it gives at once.
    #[test]
    fn long_files_of_the_kernel() {
        for name in ["status", "maps", "smaps"] {
            let path = Path::new("/proc").join(process::id().to_string()).join(name);
            let whole = std::fs::read_to_string(&path).unwrap();
            let read = read(&path, 1 << 24).unwrap();
            let lines = |text: &str| text.lines().count();
            assert!(
                lines(&read).abs_diff(lines(&whole)) <= lines(&whole) / 4,
                "{name}"
            );
            assert!(read.ends_with('\n'), "{name}");
        }
    }
}
