//! Memory of the process at hand: read without faulting, so what is not there cannot be read.

use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_probe_read_kernel, bpf_probe_read_user};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use observer_ebpf::plaintext::{Chunk, ObjectKey};
use observer_ebpf::walker::Source;

use crate::source::Bytes;

/// Bytes that a program hands to its TLS library, or gets from it.
pub struct UserBytes {
    pub chunk: Chunk,
    /// Set to 1 where bytes cannot be read.
    pub unreadable: *mut u8,
}

impl Source for UserBytes {
    #[inline(always)]
    fn start(&self) -> u32 {
        self.chunk.start
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.chunk.length
    }

    #[inline(always)]
    fn time(&self) -> u64 {
        self.chunk.time
    }

    #[inline(always)]
    fn load<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        // SAFETY: `bytes` has room for `N` bytes.
        if unsafe { self.copy(at, bytes.as_mut_ptr(), N as u32) } {
            Some(bytes)
        } else {
            None
        }
    }
}

impl Bytes for UserBytes {
    const SHORT: bool = false;

    #[inline(always)]
    unsafe fn copy(&self, at: u32, target: *mut u8, length: u32) -> bool {
        let from = (self.chunk.buffer + u64::from(at)) as *const c_void;
        // SAFETY: the kernel reads without faulting; `target` has room by contract.
        let read = unsafe { bpf_probe_read_user(target.cast(), length, from) } == 0;
        if !read {
            // SAFETY: a field of the object that the run works on.
            unsafe { *self.unreadable = 1 };
        }
        read
    }
}

/// A value at an address of the process.
#[inline(always)]
pub fn read_user<T: Copy>(address: u64) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the kernel reads without faulting; `value` has room.
    let failed = unsafe {
        bpf_probe_read_user(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const c_void,
        )
    };
    // SAFETY: written whole where the kernel answers 0; only plain numbers are read so.
    if failed == 0 {
        Some(unsafe { value.assume_init() })
    } else {
        None
    }
}

/// The same of the kernel's own memory.
#[inline(always)]
pub fn read_kernel<T: Copy>(address: u64) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: as above.
    let failed = unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const c_void,
        )
    };
    // SAFETY: as above.
    if failed == 0 {
        Some(unsafe { value.assume_init() })
    } else {
        None
    }
}

/// Process and thread that run right now.
#[inline(always)]
pub fn thread() -> u64 {
    // SAFETY: no preconditions.
    unsafe { bpf_get_current_pid_tgid() }
}

/// The key of an object of the process at hand.
#[inline(always)]
pub fn key_of(object: u64) -> ObjectKey {
    ObjectKey {
        object,
        process: (thread() >> 32) as u32,
        reserved: 0,
    }
}
