//! Packets of sockets without storage: connections that begin, those that are older than the observer, and data that
//! meets the listening socket.

use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_sk_fullsock};
use observer_ebpf::loss::Loss;
use observer_ebpf::record::Direction;

use crate::handshake;
use crate::maps::{CONNECTIONS, Next, count};
use crate::segment::{SYN, Segment, load, words};
use crate::stream::go_on;

const LISTEN: u32 = 10;
const TCP: u32 = 6;

/// A socket without storage: not TCP, a connection older than the observer, or one that begins.
#[inline(always)]
pub fn first_sight(skb: *mut __sk_buff, sk: *mut bpf_sock, direction: Direction) {
    // SAFETY: not null; the kernel answers null for anything but a full socket.
    let full = unsafe { bpf_sk_fullsock(sk) };
    if full.is_null() {
        return;
    }
    // SAFETY: not null, valid for the whole run.
    if unsafe { (*full).protocol } != TCP {
        return;
    }
    let Some(segment) = Segment::parse(skb) else {
        return count(Loss::UnreadableSegment);
    };
    // SAFETY: as above.
    if unsafe { (*full).state } == LISTEN {
        if matches!(direction, Direction::Ingress) && segment.length > 0 {
            // SAFETY: the clock has no preconditions.
            let segment = segment.at(unsafe { bpf_ktime_get_ns() });
            if let Some(name) = name_of(skb, &segment) {
                handshake::store(name, &segment);
            }
        }
        return;
    }
    if segment.length == 0 && segment.flags & SYN == 0 {
        return;
    }
    if CONNECTIONS.get_or_make(full.cast()).is_null() {
        count(Loss::NoMemory);
        return;
    }
    go_on(skb, direction, Next::Entry);
}

/// The name under which data of an unfinished handshake is kept, from the packet's own addresses.
#[inline(always)]
fn name_of(skb: *mut __sk_buff, segment: &Segment) -> Option<u64> {
    let [version] = load::<1>(skb, 0)?;
    let ports = segment.ports()?;
    if version >> 4 == 4 {
        let [remote, local] = words::<2>(skb, 12)?;
        let mapped = |address| [0, 0, 0xffff_u32.to_be(), address];
        return Some(handshake::name(
            mapped(local),
            mapped(remote),
            ports,
            segment.start,
        ));
    }
    let [a, b, c, d] = words::<4>(skb, 8)?;
    let [e, f, g, h] = words::<4>(skb, 24)?;
    Some(handshake::name([e, f, g, h], [a, b, c, d], ports, segment.start))
}
