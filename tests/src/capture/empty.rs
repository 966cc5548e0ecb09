//! The cheapest program that a cgroup can have, written in the machine's own instructions: what the observer's
//! programs are measured against.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::time::Duration;

use observer_ebpf::record::Direction;

use super::kernel::bpf;

/// `r0 = 1; exit`.
const PASS: [u64; 2] = [0x0000_0001_0000_00b7, 0x0000_0000_0000_0095];
const PROG_LOAD: u32 = 5;
const INFO_BY_FD: u32 = 15;
const LINK_CREATE: u32 = 28;
const CGROUP_SKB: u32 = 8;
/// Of `struct bpf_prog_info`: where the kernel writes run time and run count, and how much of it is asked for.
const RUN_TIME: usize = 192;
const RUN_COUNT: usize = 200;
const INFO_BYTES: usize = 208;

/// Loaded and attached; gone when dropped.
#[derive(Debug)]
pub struct Empty {
    program: OwnedFd,
    _link: OwnedFd,
}

#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log: [u64; 2],
    version_and_flags: u64,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

#[repr(C)]
struct Link {
    program: u32,
    target: u32,
    attach: u32,
    flags: u32,
}

#[repr(C)]
struct Info {
    fd: u32,
    length: u32,
    target: u64,
}

impl Empty {
    pub fn attach(group: BorrowedFd<'_>, direction: Direction) -> io::Result<Self> {
        let license = c"GPL";
        let attach = direction as u32;
        let mut load = Load {
            kind: CGROUP_SKB,
            instructions: PASS.len() as u32,
            code: PASS.as_ptr() as u64,
            license: license.as_ptr() as u64,
            attach,
            ..Load::default()
        };
        let program = descriptor(bpf(PROG_LOAD, &mut load)?);
        let (from, to) = (
            program.as_raw_fd().cast_unsigned(),
            group.as_raw_fd().cast_unsigned(),
        );
        let mut link = Link {
            program: from,
            target: to,
            attach,
            flags: 0,
        };
        Ok(Self {
            _link: descriptor(bpf(LINK_CREATE, &mut link)?),
            program,
        })
    }

    /// How often it ran, and for how long, since it was loaded.
    pub fn runs(&self) -> io::Result<(u64, Duration)> {
        let mut info = [0_u8; INFO_BYTES];
        let (fd, length) = (self.program.as_raw_fd().cast_unsigned(), INFO_BYTES as u32);
        bpf(
            INFO_BY_FD,
            &mut Info {
                fd,
                length,
                target: info.as_mut_ptr() as u64,
            },
        )?;
        let at = |offset: usize| u64::from_ne_bytes(*info[offset..].first_chunk().expect("eight bytes"));
        Ok((at(RUN_COUNT), Duration::from_nanos(at(RUN_TIME))))
    }
}

#[expect(unsafe_code, reason = "a descriptor that only this module knows")]
fn descriptor(raw: i32) -> OwnedFd {
    // SAFETY: the kernel has just made it for us.
    unsafe { OwnedFd::from_raw_fd(raw) }
}
