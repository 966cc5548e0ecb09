//! The bpf(2) call, for what aya does not do: programs without an object file, and ids without descriptors.

use std::collections::BTreeSet;
use std::io;

/// Programs, maps and links of the whole kernel: (kind as in fdinfo, id).
pub type Ids = BTreeSet<(&'static str, u32)>;

/// Kinds and the commands that step through their ids.
const KINDS: [(&str, u32); 3] = [("prog_id", 11), ("map_id", 12), ("link_id", 31)];

#[repr(C)]
struct NextId {
    after: u32,
    next: u32,
    flags: u32,
}

/// What is loaded. Nothing is opened for it: a descriptor of a program array that is about to go would count as
/// its user, and when that descriptor is closed while the kernel (6.18) is still emptying the array, the array stays
/// for ever (`prog_array_map_clear` takes a reference for work that is queued already).
pub fn loaded() -> io::Result<Ids> {
    let mut ids = Ids::new();
    for (kind, command) in KINDS {
        let mut step = NextId {
            after: 0,
            next: 0,
            flags: 0,
        };
        loop {
            match bpf(command, &mut step) {
                Ok(_) => ids.insert((kind, step.next)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            step.after = step.next;
        }
    }
    Ok(ids)
}

/// What a process holds, by its descriptors.
pub fn held(process: u32) -> io::Result<Ids> {
    let mut ids = Ids::new();
    for entry in std::fs::read_dir(format!("/proc/{process}/fdinfo"))? {
        let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let kind = KINDS.into_iter().find(|(kind, _)| *kind == name);
            ids.extend(kind.and_then(|(kind, _)| Some((kind, value.trim().parse().ok()?))));
        }
    }
    Ok(ids)
}

/// What all maps of this process say that they take, bytes.
pub fn map_bytes() -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir("/proc/self/fdinfo")? {
        let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
        if text.contains("map_id:") {
            let bytes = text.lines().find_map(|line| line.strip_prefix("memlock:"));
            sum += bytes
                .and_then(|bytes| bytes.trim().parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    Ok(sum)
}

#[expect(unsafe_code, reason = "aya has no public form of these commands")]
pub(super) fn bpf<A>(command: u32, attributes: &mut A) -> io::Result<i32> {
    // SAFETY: every attribute type of this module and of `empty` is laid out as the command's part of
    // `union bpf_attr`, and what it points to outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<A>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as i32)
    }
}
