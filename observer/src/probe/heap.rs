//! Memory that loading has used and nobody needs any more, given back to the system.

use std::io;

/// To be called when programs were loaded.
pub fn trim() {
    trim_heap();
    if let Err(error) = trim_program() {
        tracing::debug!(%error, "pages of the program that only the start needs stay resident");
    }
}

/// The loader reads all type information of the running kernel, about 15 MiB, and what it keeps lies between that; so
/// the allocator keeps some MiB for good where it is not told.
#[cfg(target_env = "gnu")]
fn trim_heap() {
    #[expect(unsafe_code, reason = "a call of the C library without a safe form")]
    // SAFETY: touches nothing but memory that the allocator knows to be free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call; musl's allocator gives back by itself.
#[cfg(not(target_env = "gnu"))]
fn trim_heap() {}

/// A part of a file that is mapped and that nobody writes to.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    length: usize,
}

/// Half of the program's own pages have been used by then for the last time: the loader, the embedded object, the dynamic
/// linker's lists. They stay in the system's page cache, from where those come back that are used again.
fn trim_program() -> io::Result<()> {
    for Mapping { start, length } in untouched(&std::fs::read_to_string("/proc/self/smaps")?) {
        #[expect(
            unsafe_code,
            reason = "a call of the kernel that no safe wrapper can vouch for"
        )]
        // SAFETY: pages of a file in a private mapping that has none of its own: the next access reads the same bytes
        // from the file again.
        let failed = unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
        if failed != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Of the kernel's list (proc(5)) the private mappings of files that cannot be written to and have no pages of their own:
/// where the dynamic linker has written addresses, there are some.
fn untouched(smaps: &str) -> Vec<Mapping> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        if let Some(anonymous) = line.strip_prefix("Anonymous:") {
            found.extend(candidate.take().filter(|_| anonymous.trim() == "0 kB"));
        } else if line.split(' ').next().is_some_and(|word| !word.ends_with(':')) {
            candidate = mapping(line);
        }
    }
    found
}

/// `55d0c0a00000-55d0c0c00000 r-xp 00200000 fe:00 1234   /usr/bin/observer`
fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let rights = words.next()?;
    let path = words.nth(3)?;
    let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).ok());
    let (start, end) = (start?, end?);
    (matches!(rights, "r-xp" | "r--p") && path.starts_with('/')).then(|| Mapping {
        start,
        length: end.saturating_sub(start),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d000000000-55d000200000 r--p 00000000 fe:00 12    /usr/bin/observer
Size:               2048 kB
Anonymous:             0 kB
55d000200000-55d000700000 r-xp 00200000 fe:00 12    /usr/bin/observer
Size:               5120 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
55d000700000-55d000780000 r--p 00700000 fe:00 12    /usr/bin/observer
Anonymous:           512 kB
55d000780000-55d000790000 rw-p 00780000 fe:00 12    /usr/bin/observer
Anonymous:             0 kB
7f0000000000-7f0000400000 r--s 00000000 00:0e 77    anon_inode:bpf-map
Anonymous:             0 kB
7f0001000000-7f0001001000 r-xp 00000000 00:00 0     [vdso]
Anonymous:             0 kB
7f0002000000-7f0002001000 r--p 00000000 00:00 0 \n\
Anonymous:             0 kB
";

    #[test]
    fn only_what_comes_back_from_a_file_is_given_back() {
        let program = |start, length| Mapping { start, length };
        assert_eq!(
            untouched(SMAPS),
            [
                program(0x55d0_0000_0000, 0x20_0000),
                program(0x55d0_0020_0000, 0x50_0000)
            ]
        );
    }

    #[test]
    fn the_program_goes_on_afterwards() {
        let before = std::fs::read("/proc/self/exe").unwrap();
        trim();
        // Code, constants and what the dynamic linker has written are all needed for this.
        assert_eq!(std::fs::read("/proc/self/exe").unwrap(), before);
        assert_eq!(format!("{:?}", mapping("x")), "None");
    }
}
