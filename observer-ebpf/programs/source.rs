//! What is walked, as bytes that can be copied: the packet at hand, or a segment that waited.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use observer_ebpf::connection::Held;
use observer_ebpf::walker::Source;

use crate::segment::Segment;

/// What is walked: the packet at hand, or a segment that waited.
pub trait Bytes: Source {
    /// Whether there is so much of it that the short way pays: the verifier has to go it too.
    const SHORT: bool;

    /// Loads `length` bytes at `at` to `target`.
    ///
    /// # Safety
    /// `target` must have room for them.
    unsafe fn copy(&self, at: u32, target: *mut u8, length: u32) -> bool;
}

impl Bytes for Segment {
    const SHORT: bool = true;

    #[inline(always)]
    unsafe fn copy(&self, at: u32, target: *mut u8, length: u32) -> bool {
        // SAFETY: by the caller.
        unsafe { Segment::copy(self, at, target, length) }
    }
}

/// A held segment, in its map.
pub struct HeldSegment<'a>(pub &'a Held);

impl Source for HeldSegment<'_> {
    #[inline(always)]
    fn start(&self) -> u32 {
        self.0.start
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.0.length
    }

    #[inline(always)]
    fn time(&self) -> u64 {
        self.0.time
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

impl Bytes for HeldSegment<'_> {
    const SHORT: bool = false;

    #[inline(always)]
    unsafe fn copy(&self, at: u32, target: *mut u8, length: u32) -> bool {
        // SAFETY: the kernel reads without faulting; the caller keeps `at + length` within what is held, and
        // `target` has room by contract.
        unsafe {
            bpf_probe_read_kernel(
                target.cast(),
                length,
                self.0.bytes.as_ptr().add(at as usize).cast(),
            ) == 0
        }
    }
}

/// `value`, which is known to be 1 to `MOST`, in a form that the verifier believes and the compiler cannot fold.
#[inline(always)]
pub fn bounded<const MOST: usize>(value: u32) -> u32 {
    let mut bounded = u64::from(value);
    // SAFETY: changes nothing but the one register, and not even that for values in range.
    unsafe {
        core::arch::asm!(
            "if {0} > {most} goto +1",
            "if {0} > 0 goto +1",
            "{0} = 1",
            inout(reg) bounded,
            most = const MOST,
        );
    }
    bounded as u32
}
