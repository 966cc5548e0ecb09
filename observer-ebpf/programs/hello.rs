//! The first message of TLS connections: its random number names the connection inside of the processes at its ends.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use observer_ebpf::plaintext::Hello;
use observer_ebpf::record::Direction;

use crate::maps::HELLOS;
use crate::source::Bytes;

/// 1: TLS is looked into. Set by the daemon.
#[unsafe(no_mangle)]
static TLS: u32 = 0;

/// Head of the record and of the message, and the version; then the random number.
const RANDOM: u32 = 5 + 4 + 2;
const RANDOM_BYTES: u32 = 32;

/// Whether TLS is looked into.
#[inline(always)]
pub fn is_wanted() -> bool {
    // SAFETY: a static that nobody writes after the programs are loaded.
    unsafe { core::ptr::read_volatile(&raw const TLS) != 0 }
}

/// Remembers through which socket the message at `at` has passed. It may pass several where something in between forwards
/// without looking inside: the first that sends it is the client's, the last that gets it the server's.
#[inline(always)]
pub fn remember<B: Bytes>(source: &B, at: u32, direction: Direction, cookie: u64) {
    if source.length() < at + RANDOM + RANDOM_BYTES {
        return;
    }
    let mut hello = Hello {
        random: [0; 4],
        direction: direction as u64,
    };
    // SAFETY: there is room for the number.
    if unsafe { source.copy(at + RANDOM, hello.random.as_mut_ptr().cast(), RANDOM_BYTES) } {
        let flags = match direction {
            Direction::Ingress => BPF_ANY,
            Direction::Egress => BPF_NOEXIST,
        };
        let _ = HELLOS.insert(hello, cookie, u64::from(flags));
    }
}
