//! Data on the very segment that ends a handshake: the hook sees the listening socket, and the bytes belong to a
//! connection that is about to exist. They are kept by addresses and ports until it does.

use aya_ebpf::bindings::BPF_ANY;
use observer_ebpf::connection::{Connection, HELD_BYTES, Held, HeldKey, MAX_HELD_SLOTS};
use observer_ebpf::loss::Loss;
use observer_ebpf::record::Direction;

use crate::hold::{LAST_SLOT, MAX_PARTS, fill};
use crate::maps::{BLANK, HANDSHAKES, HELD, count, locked};
use crate::segment::Segment;

/// Name of a segment of a connection that does not exist yet: a mix of addresses, ports and the first sequence number, as
/// seen from the listening side. Of several that meet it before the connection does, each has its own.
#[inline(always)]
pub fn name(local: [u32; 4], remote: [u32; 4], ports: u32, start: u32) -> u64 {
    let mut name = u64::from(ports) << 32 | u64::from(start);
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

/// Moves what [`store`] kept to the new connection's slots: `length` bytes from `start` on came with its handshake.
#[inline(always)]
pub fn adopt(connection: *mut Connection, name: u64, start: u32, length: u32) {
    let mut missing = length;
    let mut loss = Loss::HoldExceeded;
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
                break;
            }
            parts = held.parts;
        }
        let found = held.length;
        if !take_over(connection, held) {
            loss = Loss::NoMemory;
            break;
        }
        missing = missing.saturating_sub(found);
        let _ = HANDSHAKES.remove(key);
    }
    if missing != 0 {
        count(loss);
        locked(connection, |[ingress, _]| {
            ingress.lose(loss, start.wrapping_add(length));
        });
    }
}

/// Copies `held` to a slot of the connection. False: there is none, or no memory for it.
#[inline(always)]
fn take_over(connection: *mut Connection, held: *const Held) -> bool {
    let slot = locked(connection, |[ingress, _]| {
        let slot = ingress.used & LAST_SLOT;
        if ingress.taken >> slot & 1 != 0 {
            return MAX_HELD_SLOTS;
        }
        ingress.taken |= 1 << slot;
        ingress.used = slot + 1;
        slot
    });
    if slot == MAX_HELD_SLOTS {
        return false;
    }
    // SAFETY: storage lives as long as the run; the name was set before this was called. What is held is a value of a
    // map.
    let inserted = unsafe {
        let key = HeldKey::new((*connection).hold, Direction::Ingress, slot);
        HELD.insert(key, &*held, BPF_ANY as u64).is_ok()
    };
    locked(connection, |[ingress, _]| {
        let slot = 1_u64 << (slot & LAST_SLOT);
        if inserted {
            ingress.ready |= slot;
        } else {
            ingress.taken &= !slot;
        }
    });
    inserted
}
