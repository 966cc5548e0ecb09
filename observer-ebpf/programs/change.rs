//! Counts, for each network namespace that the daemon asks about, what changes its list of sockets for the gauges.
//! Listing the sockets of a namespace takes milliseconds, since the kernel has those of all in one table; this takes none.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use observer_ebpf::change::{CLOSE, ESTABLISHED, LISTEN, place_of};

use crate::maps::{CHANGES, DATABASE_PORTS, SOCKET_PLACES, increase};
use crate::user::read_kernel;

/// Before every change of a socket's state, on the whole machine.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
#[inline(always)]
pub fn changed(context: RawTracePointContext) -> i32 {
    let (socket, old, new) = (
        context.arg::<u64>(0),
        context.arg::<i32>(1),
        context.arg::<i32>(2),
    );
    // An accepted socket is a copy of the listening one at first, and so ceases to listen too, but is not closed.
    if new == LISTEN || old == LISTEN && new == CLOSE {
        count(socket, true);
    } else if old == ESTABLISHED || new == ESTABLISHED {
        count(socket, false);
    }
    0
}

#[inline(always)]
fn count(socket: u64, listens: bool) -> Option<()> {
    let places = SOCKET_PLACES.get(0)?;
    if !listens {
        let port = u16::from_be(read_kernel(socket + u64::from(places.sock_port))?);
        let (word, bit) = place_of(port);
        if DATABASE_PORTS.get(word)? & bit == 0 {
            return None;
        }
    }
    let namespace = read_kernel::<u64>(socket + u64::from(places.sock_net))?;
    let entry = read_kernel::<u64>(namespace + u64::from(places.net_entry))?;
    let number = read_kernel::<u32>(entry + u64::from(places.entry_number))?;
    let cell = CHANGES.get_ptr_mut(number)?;
    // SAFETY: values of a map that allocates before are 8-aligned and live as long as the map.
    unsafe { increase(cell) };
    Some(())
}
