//! The kernel programs: `cgroup_skb` on both ways of every TCP socket, what tells of a socket's birth and end, what
//! counts changes of their state, and, where it is asked for, probes of TLS libraries inside of processes.
//!
//! None of them changes, delays or drops a packet: every run ends in [`PASS`], whatever went wrong in it.
#![no_std]
#![no_main]
// The only way to make the compiler keep a bound that the verifier needs, and to add atomically.
#![feature(asm_experimental_arch)]
#![expect(
    unsafe_code,
    reason = "every call of the kernel and every access to its memory is unsafe; each says why it is right"
)]
#![expect(
    clippy::cast_ptr_alignment,
    clippy::cast_lossless,
    clippy::needless_pass_by_value,
    clippy::needless_borrows_for_generic_args,
    clippy::trivially_copy_pass_by_ref,
    reason = "the kernel aligns what it hands out; the bindings' constants are u32; aya hands over contexts by value"
)]
#![expect(
    clippy::inline_always,
    reason = "calls between programs do not mix with tail calls on old kernels"
)]

/// Says what was decided, in builds with the feature `log`; in others it is nothing at all.
#[cfg(feature = "log")]
macro_rules! say {
    ($($said:tt)*) => { aya_log_ebpf::info!((), $($said)*) };
}
#[cfg(not(feature = "log"))]
macro_rules! say {
    ($format:literal $(, $argument:expr)* $(,)?) => { $( let _ = &$argument; )* };
}

mod address;
mod announce;
mod birth;
mod change;
mod claim;
mod emit;
mod first_sight;
mod go_tls;
mod handshake;
mod hello;
mod hold;
mod maps;
mod object;
mod open_ssl;
mod plaintext;
mod ring;
mod segment;
mod socket;
mod source;
mod stream;
mod tie;
mod user;
mod walk;

/// What a `cgroup_skb` program answers to let a packet go on.
const PASS: i32 = 1;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Panics are compiled out; a program in which one were left would not pass the verifier.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

/// Which ABI this object speaks; the daemon compares before it loads.
#[unsafe(no_mangle)]
static OBSERVER_ABI: u32 = observer_ebpf::record::VERSION;
