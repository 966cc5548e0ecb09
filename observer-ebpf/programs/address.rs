//! A socket's addresses and ports, as the `Socket` record has them.

use aya_ebpf::bindings::bpf_sock;
use observer_ebpf::record::Socket;

/// Everything is loaded, volatile, before anything is decided: the kernel rewrites loads at constant offsets, and
/// the compiler must not merge two of them into one through a computed pointer.
#[inline(always)]
pub fn addresses(sk: *mut bpf_sock, socket: &mut Socket) {
    const INET: u32 = 2;
    // SAFETY: the socket is valid for the whole run.
    unsafe {
        let family = (&raw const (*sk).family).read_volatile();
        let local = (&raw const (*sk).src_ip4).read_volatile();
        let remote = (&raw const (*sk).dst_ip4).read_volatile();
        let local_words = [
            (&raw const (*sk).src_ip6[0]).read_volatile(),
            (&raw const (*sk).src_ip6[1]).read_volatile(),
            (&raw const (*sk).src_ip6[2]).read_volatile(),
            (&raw const (*sk).src_ip6[3]).read_volatile(),
        ];
        let remote_words = [
            (&raw const (*sk).dst_ip6[0]).read_volatile(),
            (&raw const (*sk).dst_ip6[1]).read_volatile(),
            (&raw const (*sk).dst_ip6[2]).read_volatile(),
            (&raw const (*sk).dst_ip6[3]).read_volatile(),
        ];
        socket.local_port = (&raw const (*sk).src_port).read_volatile() as u16;
        socket.remote_port = u16::from_be((&raw const (*sk).dst_port).read_volatile());
        let v4 = family == INET;
        socket.local = if v4 { mapped(local) } else { joined(local_words) };
        socket.remote = if v4 { mapped(remote) } else { joined(remote_words) };
    }
}

#[inline(always)]
fn mapped(address: u32) -> [u8; 16] {
    joined([0, 0, 0xffff_u32.to_be(), address])
}

#[inline(always)]
fn joined(words: [u32; 4]) -> [u8; 16] {
    // SAFETY: four words are sixteen bytes.
    unsafe { core::mem::transmute(words) }
}
