//! The kernel's word about new executable mappings, so that libraries are found when they are loaded and not when somebody
//! looks. A perf event that counts nothing, on each CPU, for all processes; `CAP_PERFMON` is enough.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use perf_event::events::Software;
use perf_event::{Builder, Sampler};
use rustc_hash::FxHashSet;

use super::{FileId, maps};

/// One buffer for each CPU.
pub struct Mappings {
    buffers: Vec<Sampler>,
    lost: u64,
}

/// Of one CPU: some 900 mappings, those of 200 programs that are started. The kernel lets every user lock 516 KiB for each.
const BUFFER: usize = 128 * 1024;
/// Mappings that are handed over in one go; a CPU that maps without end does not keep its reader.
const MOST: usize = 16 * 1024;

impl std::fmt::Debug for Mappings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { buffers, lost } = self;
        let buffers = buffers.len();
        formatter
            .debug_struct("Mappings")
            .field("buffers", &buffers)
            .field("lost", lost)
            .finish()
    }
}

impl Mappings {
    /// Refused without `CAP_PERFMON`, unless `kernel.perf_event_paranoid` is below 1. CPUs that come later are not heard.
    pub fn open() -> io::Result<Self> {
        let possible = std::fs::read_to_string("/sys/devices/system/cpu/online")?;
        let buffers = online(&possible).map(buffer).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { buffers, lost: 0 })
    }

    /// To wait on: readable when something was mapped. At 1,000 programs started in a second each of their mappings would
    /// wake the waiter; waiting some milliseconds more before draining joins them.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.buffers.iter().map(|buffer| {
            #[expect(
                unsafe_code,
                reason = "the descriptor is owned by the buffer, which outlives the borrow"
            )]
            // SAFETY: as the reason says; the crate has no borrowing accessor.
            unsafe {
                BorrowedFd::borrow_raw(buffer.as_raw_fd())
            }
        })
    }

    /// Hands over which process mapped which file, once in a call for each of the pairs.
    pub fn drain(&mut self, mut on: impl FnMut(u32, FileId)) {
        let mut seen = FxHashSet::default();
        for buffer in &mut self.buffers {
            for _ in 0..MOST {
                let Some(record) = buffer.next_record() else { break };
                match Said::decode(record.ty(), &record.to_contiguous()) {
                    Said::Mapped(process, file) if seen.insert((process, file)) => on(process, file),
                    Said::Lost(count) => self.lost = self.lost.saturating_add(count),
                    Said::Mapped(..) | Said::Other => {}
                }
            }
        }
    }

    /// Mappings that nobody heard of, because a buffer was full: time for a scan.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

fn buffer(cpu: usize) -> io::Result<Sampler> {
    // `mmap2` alone is silent: the kernel counts who listens by `mmap` (`account_event`, kernel/events/core.c).
    let mut buffer = Builder::new(Software::DUMMY)
        .any_pid()
        .one_cpu(cpu)
        .mmap(true)
        .mmap2(true)
        .wakeup_watermark(1)
        .build()?
        .sampled(BUFFER)?;
    buffer.enable()?;
    Ok(buffer)
}

/// `0-3,5` as numbers.
fn online(list: &str) -> impl Iterator<Item = usize> {
    list.trim().split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<usize>().ok();
        match (number(first), number(last)) {
            (Some(first), Some(last)) => first..last.saturating_add(1),
            _ => 0..0,
        }
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Mapped(u32, FileId),
    Lost(u64),
    Other,
}

impl Said {
    const LOST: u32 = 2;
    const MMAP2: u32 = 10;

    /// `record` is what stands behind the header: `struct { pid, tid: u32, addr, len, pgoff: u64, maj, min: u32, ino … }`
    /// or `struct { id, lost: u64 }`.
    fn decode(kind: u32, record: &[u8]) -> Self {
        let short = |at: usize| Some(u32::from_ne_bytes(*record.get(at..)?.first_chunk()?));
        let long = |at: usize| Some(u64::from_ne_bytes(*record.get(at..)?.first_chunk()?));
        let mapped = || {
            let device = maps::device(short(32)?, short(36)?);
            let inode = long(40).filter(|inode| *inode != 0)?;
            Some(Self::Mapped(short(0)?, FileId { device, inode }))
        };
        match kind {
            Self::MMAP2 => mapped().unwrap_or(Self::Other),
            Self::LOST => long(8).map_or(Self::Other, Self::Lost),
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skip::skipped;
    use proptest::prelude::*;
    use std::fs::File;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    fn lists_of_cpus() {
        let numbers = |list| online(list).collect::<Vec<_>>();
        assert_eq!(numbers("0-2,5,7-8\n"), [0, 1, 2, 5, 7, 8]);
        assert_eq!(numbers("0"), [0]);
        assert!(numbers("").is_empty());
    }

    #[test]
    fn a_program_that_starts() {
        let mut mappings = match Mappings::open() {
            Ok(mappings) => mappings,
            Err(error) => return skipped("tls::mapped::a_program_that_starts", &error.to_string()),
        };
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let folder = format!("/proc/{}", child.id());
        let end = Instant::now() + Duration::from_secs(30);
        let mut files = Vec::new();
        let expected = loop {
            let waiting: Vec<_> = mappings.descriptors().collect();
            let mut waiting: Vec<_> = waiting
                .iter()
                .map(|descriptor| rustix::event::PollFd::new(descriptor, rustix::event::PollFlags::IN))
                .collect();
            let second = rustix::event::Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            rustix::event::poll(&mut waiting, Some(&second)).unwrap();
            mappings.drain(|process, file| {
                if process == child.id() {
                    files.push(file);
                }
            });
            let maps = maps::read(File::open(format!("{folder}/maps")).unwrap()).unwrap();
            let program = maps.iter().find(|mapping| mapping.path.ends_with("cat"));
            if let Some(program) = program.filter(|program| files.contains(&program.file)) {
                break Some(program.file);
            }
            if Instant::now() > end {
                break None;
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(expected.is_some(), "{files:?}, {mappings:?}");
    }

    proptest! {
        #[test]
        fn any_record(kind in 0_u32..16, record: Vec<u8>) {
            let _ = Said::decode(kind, &record);
        }
    }
}
