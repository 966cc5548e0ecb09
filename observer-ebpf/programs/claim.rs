//! The claim of a direction: one run at a time walks it. It is held over tail calls, and given back only when nothing
//! became ready meanwhile.

use aya_ebpf::bindings::__sk_buff;
use observer_ebpf::connection::Connection;
use observer_ebpf::loss::Loss;
use observer_ebpf::record::Direction;

use crate::maps::{Next, count, half, locked};
use crate::stream::go_on;

#[inline(always)]
pub fn claim(connection: *mut Connection, direction: Direction) -> bool {
    locked(connection, |halves| half(halves, direction).claim())
}

#[inline(always)]
pub fn unclaim(connection: *mut Connection, direction: Direction) {
    locked(connection, |halves| half(halves, direction).busy = 0);
}

/// Gives the claim back where no tail call is left for what waits: the next packet goes on with it, whatever it
/// carries.
#[inline(always)]
pub fn leave(connection: *mut Connection, direction: Direction) {
    locked(connection, |halves| {
        let half = half(halves, direction);
        half.left = 1;
        half.busy = 0;
    });
}

/// Gives the claim back, unless something became ready that was not among `seen`: then that is walked first.
/// Where ingress was drained before an answer leaves, the answer's own turn comes now.
#[inline(always)]
pub fn release(
    skb: *mut __sk_buff,
    connection: *mut Connection,
    direction: Direction,
    hook: Direction,
    seen: u64,
) {
    let free = locked(connection, |halves| {
        let half = half(halves, direction);
        let free = half.ready == seen && half.lost | half.anew == 0;
        if free {
            half.busy = 0;
        }
        free
    });
    let crossed = direction as u8 != hook as u8;
    if !free {
        go_on(skb, hook, if crossed { Next::Cross } else { Next::Drain });
        leave(connection, direction);
    }
    if crossed {
        go_on(skb, hook, Next::Entry);
        lose_answer(connection);
    }
}

/// No tail call is left for the answer after what waited on ingress.
#[inline(always)]
pub fn lose_answer(connection: *mut Connection) {
    // How far the answer goes is not known here. Its first byte is enough: the next segment ends the search.
    locked(connection, |[_, egress]| {
        egress.lose(Loss::TooManyFrames, egress.walk.next.wrapping_add(1));
    });
    count(Loss::TooManyFrames);
}
