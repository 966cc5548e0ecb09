//! The first packet of a direction: where its stream begins, and whether that is known at all.

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_sk_fullsock};
use observer_ebpf::connection::{Connection, Half};
use observer_ebpf::record::{Direction, Role};
use observer_ebpf::walker::{Walk, phase};

use crate::maps::{half, locked};
use crate::segment::{SYN, Segment};
use crate::stream::socket;

const SYN_RECV: u32 = 3;

/// Sets up a direction that nobody has set up yet. False: the kernel has yet to tell where it begins, and the segment has
/// to wait until then. The claim is held.
///
/// An accepted socket is found by packets before `socket::begin` is called for it: on another CPU, which is making it
/// of the segment that completes the handshake, and keeps it in `SYN_RECV` until `begin` has returned. A packet in
/// between is neither the first nor one of a connection older than the observer.
#[inline(always)]
pub fn settle_birth(
    skb: *mut __sk_buff,
    connection: *mut Connection,
    direction: Direction,
    segment: &Segment,
) -> bool {
    let sk = socket(skb);
    if sk.is_null() {
        return false;
    }
    // SAFETY: not null; the kernel answers null for anything but a full socket.
    let full = unsafe { bpf_sk_fullsock(sk) };
    // SAFETY: null or valid for the whole run.
    let state = unsafe { full.as_ref() }.map_or(0, |full| full.state);
    let begins = segment.flags & SYN != 0;
    // SAFETY: storage lives as long as the run. Both directions and the socket's birth may write these; they write the
    // same values.
    let joined = unsafe {
        let cookie = bpf_get_socket_cookie(skb.cast());
        (*connection).cookie = cookie;
        (*connection).hold = cookie;
        if begins && (*connection).role == Role::Unknown as u8 {
            (*connection).role = Role::Active as u8;
        }
        (*connection).shared.joined != 0
    };
    if !begins && state == SYN_RECV {
        return false;
    }
    // The state was read first: if it is that of a connection that exists, then `begin` has told by now, or never will.
    let born = locked(connection, |halves| {
        let half = half(halves, direction);
        half.begin_anew_if_told();
        half.walk.phase != phase::NEW
    });
    if born {
        return true;
    }
    // SAFETY: the claim is held, so this half is this run's alone but for what is under the lock.
    let half: &mut Half = unsafe { half(&mut (*connection).halves, direction) };
    half.walk = if begins && !joined {
        Walk::from_start(segment.start)
    } else {
        Walk::joined(segment.start)
    };
    half.top = segment.start;
    if !begins {
        // SAFETY: as above.
        unsafe { (*connection).shared.joined = 1 };
    }
    true
}
