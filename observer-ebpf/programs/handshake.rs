//! Data on the very segment that ends a handshake: the hook sees the listening socket, and the bytes belong to a
//! connection that is about to exist. They are kept by addresses and ports until it does.

use aya_ebpf::bindings::BPF_ANY;
use observer_ebpf::connection::{Connection, HELD_BYTES, HeldKey};
use observer_ebpf::loss::Loss;
use observer_ebpf::record::Direction;

use crate::hold::{MAX_PARTS, fill};
use crate::maps::{BLANK, HANDSHAKES, HELD, count};
use crate::segment::Segment;

/// Name of a connection that does not exist yet: a mix of its addresses and ports, as seen from the listening
/// side. The first sequence number has to agree too before anything is made of it.
#[inline(always)]
pub fn name(local: [u32; 4], remote: [u32; 4], ports: u64) -> u64 {
    let mut name = ports;
    for word in [
        local[0], local[1], local[2], local[3], remote[0], remote[1], remote[2], remote[3],
    ] {
        name = (name ^ u64::from(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        name ^= name >> 29;
    }
    // Cookies count up from 1; the top bit keeps these apart from them.
    name | 1 << 63
}

/// Keeps data that came with the end of a handshake, to be found by the connection when it exists.
#[inline(always)]
pub fn store(name: u64, segment: &Segment) {
    let parts = segment.length.div_ceil(HELD_BYTES as u32);
    if parts > MAX_PARTS {
        count(Loss::HoldExceeded);
        return;
    }
    let Some(blank) = BLANK.get_ptr(0) else {
        return;
    };
    for part in 0..MAX_PARTS {
        if part >= parts {
            break;
        }
        let key = HeldKey::new(name, Direction::Ingress, part);
        // SAFETY: the blank is never written; entries of this map are filled once and copied by the connection's birth.
        unsafe {
            if HANDSHAKES.insert(key, &*blank, BPF_ANY as u64).is_err() {
                count(Loss::NoMemory);
                return;
            }
            let filled = match HANDSHAKES.get_ptr_mut(key) {
                Some(held) => fill(&mut *held, segment, part, parts),
                None => false,
            };
            if !filled {
                count(Loss::NoMemory);
                return;
            }
        }
    }
}

/// Moves what [`store`] kept to the new connection's slots.
#[inline(always)]
pub fn adopt(connection: &mut Connection, name: u64, start: u32) {
    let mut parts = 1;
    for part in 0..MAX_PARTS {
        if part >= parts {
            break;
        }
        let key = HeldKey::new(name, Direction::Ingress, part);
        let Some(held) = HANDSHAKES.get_ptr(key) else {
            break;
        };
        // SAFETY: filled before the connection came to be.
        let held = unsafe { &*held };
        if part == 0 {
            if held.start != start {
                return;
            }
            parts = held.parts;
        }
        let key = HeldKey::new(connection.hold, Direction::Ingress, part);
        let [ingress, _] = &mut connection.halves;
        connection.adopted = 1;
        if HELD.insert(key, held, BPF_ANY as u64).is_err() {
            ingress.lose(Loss::NoMemory, held.start.wrapping_add(held.length));
            break;
        }
        ingress.ready |= 1 << part;
        ingress.taken |= 1 << part;
        ingress.used = part + 1;
    }
}
