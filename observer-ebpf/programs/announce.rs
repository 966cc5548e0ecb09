//! The program that tells of a connection, and goes back to the one that found it untold.

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_tail_call};
use core::ptr::from_ref;
use observer_ebpf::connection::announced;
use observer_ebpf::loss::Loss;
use observer_ebpf::record::Direction;

use crate::claim::{leave, lose_answer};
use crate::emit::Emitter;
use crate::maps::{EGRESS, INGRESS, Next, count, half, locked};
use crate::stream::connection;

/// Tells of the connection and goes back. The claim is held.
#[inline(always)]
pub fn announce(skb: *mut __sk_buff, direction: Direction, hook: Direction) {
    let connection = connection(skb);
    if connection.is_null() {
        return;
    }
    // SAFETY: the claim is held.
    let (half, shared) = unsafe { (half(&mut (*connection).halves, direction), &(*connection).shared) };
    let emitter = Emitter::new(skb, connection, direction);
    // SAFETY: the clock has no preconditions.
    let told = emitter.announce(&mut half.walk, shared, unsafe { bpf_ktime_get_ns() });
    emitter.set_announced(if told { announced::YES } else { announced::FAILED });
    resume(skb, hook, half.resume);
    // No tail call is left. What waited goes on waiting; of the segment at hand, the rest is lost.
    if half.resume > Next::Announce as u32 {
        leave(connection, direction);
        if direction as u8 != hook as u8 {
            lose_answer(connection);
        }
        return;
    }
    count(Loss::TooManyFrames);
    let end = half.at_hand.start.wrapping_add(half.at_hand.length);
    locked(connection, |halves| {
        let half = crate::maps::half(halves, direction);
        half.lose(Loss::TooManyFrames, end);
        half.busy = 0;
    });
}

/// Goes on with the program whose number was kept. Returns only if the kernel's limit of tail calls is reached.
#[inline(always)]
fn resume(skb: *mut __sk_buff, hook: Direction, next: u32) {
    let programs = match hook {
        Direction::Ingress => from_ref(&INGRESS),
        Direction::Egress => from_ref(&EGRESS).cast(),
    };
    // SAFETY: the context and the map are valid.
    unsafe { bpf_tail_call(skb.cast(), programs.cast_mut().cast(), next) };
}
