//! Where an SSL object keeps the client's random: read off the code of `SSL_get_client_random`, which copies it out.
//!
//! All ways through the function are followed with what is known of each register: that it holds an address in the
//! object, an address behind a pointer in the object, or what is stored at one of these. What ends up in the
//! caller's buffer is then the random. The kernel side believes a place only when what it finds there was on the
//! wire: a mistake here costs a tie between connection and object and never makes a wrong one.

use super::RandomPlace;

/// Longest code that is looked at; it is about 300 bytes.
pub const MAX_CODE: u64 = 2048;

#[cfg(not(target_arch = "x86_64"))]
pub fn place(_: &[u8], _: u64) -> Option<RandomPlace> {
    None
}

#[cfg(target_arch = "x86_64")]
pub use x86::place;

#[cfg(target_arch = "x86_64")]
mod x86;
