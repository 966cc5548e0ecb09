//! Takes probes of processes away beside the daemon, which promises to end within seconds.
//!
//! The kernel waits for two grace periods with each probe that is taken away: about 0.1 s each, tried on 6.18, one after
//! the other also where several threads close them. So when the observer stops, a child keeps its descriptors until it has let go of
//! them, and is the one that waits. The child runs nothing but a few system calls, and ends by itself.

use std::io::{self, PipeWriter};
use std::os::fd::{AsRawFd, RawFd};

/// Standard input, output and errors are no probes.
const FIRST: RawFd = 3;

/// Held while descriptors are closed that the child has too. When it is dropped, the child closes them.
#[derive(Debug)]
pub struct Remover {
    _told: PipeWriter,
}

impl Remover {
    /// Begins to hold everything that is open now.
    #[expect(
        unsafe_code,
        reason = "fork has no safe form; the child calls nothing that is unsafe after one"
    )]
    pub fn start() -> io::Result<Self> {
        let last = last_descriptor()?;
        let (waits, told) = io::pipe()?;
        let (waits_for, own_end) = (waits.as_raw_fd(), told.as_raw_fd());
        // SAFETY: no locks are taken and no memory is allocated in the child (see `remove`).
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => remove(waits_for, own_end, last),
            _ => Ok(Self { _told: told }),
        }
    }
}

fn last_descriptor() -> io::Result<RawFd> {
    let open = std::fs::read_dir("/proc/self/fd")?;
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(numbers.max().unwrap_or(FIRST))
}

/// The child: waits until the parent has let go, then closes everything, the oldest first: what takes long was opened last.
#[expect(
    unsafe_code,
    reason = "system calls on descriptors that nothing else in this process uses any more"
)]
fn remove(waits_for: RawFd, parents_end: RawFd, last: RawFd) -> ! {
    let mut byte = 0_u8;
    // SAFETY: read, close and _exit may be called after a fork; `byte` has room for one byte.
    unsafe {
        libc::close(parents_end);
        // It ends when the parent's end is closed, by whatever way.
        while libc::read(waits_for, (&raw mut byte).cast(), 1) < 0 && *libc::__errno_location() == libc::EINTR
        {
        }
        for descriptor in FIRST..=last {
            libc::close(descriptor);
        }
        libc::_exit(0)
    }
}
