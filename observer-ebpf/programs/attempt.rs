//! Attempts to connect: the socket of a refused one may be used for the next.

use observer_ebpf::connection::{Connection, announced};
use observer_ebpf::walker::{Shared, Walk, phase};

use crate::maps::locked;

/// Forgets everything of the socket's last attempt to connect. A claim is held; a socket that connects has no other
/// traffic.
#[inline(always)]
pub fn begin_anew(connection: *mut Connection) {
    // SAFETY: storage lives as long as the run.
    unsafe {
        (*connection).shared = Shared::default();
        (*connection).announced = announced::NO;
    }
    locked(connection, |halves| {
        for half in halves {
            half.walk.phase = phase::NEW;
            half.finished = 0;
        }
    });
}

/// Whether a SYN begins another attempt to connect, and is not the present one's, sent again: the socket of a refused
/// attempt may be used for the next. Data that came with the first SYN (TCP fast open) lies behind it.
#[inline(always)]
pub fn is_other_syn(walk: &Walk, start: u32) -> bool {
    let read = walk.next.wrapping_sub(start);
    read != 0 && (read > MAX_SYN_DATA || (walk.phase == phase::OPENING && walk.held == 0))
}

/// More than a SYN can carry.
const MAX_SYN_DATA: u32 = 0xffff;
