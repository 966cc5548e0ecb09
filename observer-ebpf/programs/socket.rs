//! Birth and end of sockets: where a connection's two streams begin, who made it, and when it is gone.

use aya_ebpf::bindings::{
    BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
    BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB, bpf_sock, bpf_sock_ops,
};
use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_socket_cookie, bpf_sock_ops_cb_flags_set,
};
use aya_ebpf::macros::{cgroup_sock, sock_ops};
use aya_ebpf::programs::{SockContext, SockOpsContext};
use observer_ebpf::connection::announced;
use observer_ebpf::loss::Loss;
use observer_ebpf::plaintext::PLAINTEXT;
use observer_ebpf::record::{Close, Role};
use observer_ebpf::walker::Shared;

use crate::emit::{end, end_of};
use crate::handshake;
use crate::hello;
use crate::maps::{CONNECTIONS, OWNERS, count, locked};
use crate::tie;

const INET: u32 = 2;
const STREAM: u32 = 1;
const CLOSE: u32 = 7;

/// Connections that come to be while the observer runs, and every change of their state.
#[sock_ops]
#[inline(always)]
pub fn established(context: SockOpsContext) -> u32 {
    let ops = context.ops;
    // SAFETY: the context is valid for the whole run; the kernel rewrites these loads.
    let (op, sk) = unsafe { ((*ops).op, (*ops).__bindgen_anon_2.sk) };
    if sk.is_null() {
        return 1;
    }
    match op {
        BPF_SOCK_OPS_TCP_CONNECT_CB => connect(sk),
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => begin(ops, sk, Role::Passive),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => begin(ops, sk, Role::Active),
        // SAFETY: as above; the arguments of this callback are the old and the new state.
        BPF_SOCK_OPS_STATE_CB if unsafe { (*ops).__bindgen_anon_1.args[1] } == CLOSE => gone(sk, Close::Gone),
        _ => {}
    }
    1
}

/// The application is done with the socket. Those that the kernel watches tell their end themselves, later.
#[cgroup_sock(sock_release)]
#[inline(always)]
pub fn released(context: SockContext) -> i32 {
    let sk = context.sock;
    let connection = CONNECTIONS.get(sk.cast());
    // SAFETY: null or live storage.
    if unsafe { connection.as_ref() }.is_some_and(|connection| connection.watched == 0) {
        gone(sk, Close::Released);
    }
    1
}

/// A socket is made, by the process that runs right now.
#[cgroup_sock(sock_create)]
#[inline(always)]
pub fn created(context: SockContext) -> i32 {
    let sk = context.sock;
    // SAFETY: the context is valid for the whole run.
    if unsafe { (*sk).type_ } != STREAM {
        return 1;
    }
    let owner = OWNERS.get_or_make(sk.cast());
    if owner.is_null() {
        count(Loss::NoMemory);
        return 1;
    }
    // SAFETY: live storage of a socket that nobody else knows yet.
    unsafe {
        (*owner).process = (bpf_get_current_pid_tgid() >> 32) as u32;
        bpf_get_current_comm((&raw mut (*owner).command).cast(), 16);
    }
    1
}

#[inline(always)]
fn begin(ops: *mut bpf_sock_ops, sk: *mut bpf_sock, role: Role) {
    let connection = CONNECTIONS.get_or_make(sk.cast());
    if connection.is_null() {
        count(Loss::NoMemory);
        return;
    }
    // SAFETY: the context is valid for the whole run.
    let (receive, send) = unsafe {
        bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG.cast_signed());
        ((*ops).rcv_nxt, (*ops).snd_nxt)
    };
    // SAFETY: live storage. Packets of an accepted socket may be in the programs already; what they write here is the same.
    unsafe {
        let cookie = bpf_get_socket_cookie(ops.cast());
        (*connection).cookie = cookie;
        (*connection).hold = cookie;
        (*connection).watched = 1;
        (*connection).role = role as u8;
    }
    // What arrived with the handshake takes its slots first: behind it, packets that came too early may have theirs.
    if matches!(role, Role::Passive) {
        handshake::adopt(connection, name_of(ops, receive), receive, data_length(ops));
    }
    // A connecting socket was seen from its SYN on, which may have carried data.
    locked(connection, |[ingress, egress]| {
        ingress.begin(receive);
        egress.begin(send);
        if ingress.ready != 0 || ingress.lost != 0 {
            ingress.left = 1;
        }
    });
}

/// The socket connects, perhaps not for the first time: nothing of an earlier connection is true of this one. Its SYN
/// has not been sent.
#[inline(always)]
fn connect(sk: *mut bpf_sock) {
    let connection = CONNECTIONS.get(sk.cast());
    if connection.is_null() {
        return;
    }
    // SAFETY: live storage; the socket is locked, and has no traffic.
    unsafe {
        // One that is older than the observer did not tell its end.
        if (*connection).told != 0 {
            end(&mut *connection, Close::Gone);
        }
        (*connection).shared = Shared::default();
        (*connection).announced = announced::NO;
        (*connection).role = Role::Active as u8;
    }
    locked(connection, |[ingress, egress]| {
        ingress.forget();
        egress.forget();
    });
}

/// A TCP header without options, and where in it its length stands.
const TCP_HEADER: usize = 20;
const OFFSET: usize = 12;

/// Bytes of payload on the segment that completes the handshake.
#[inline(always)]
fn data_length(ops: *mut bpf_sock_ops) -> u32 {
    // SAFETY: the context is valid for the whole run; the kernel makes addresses of these two loads.
    let (data, end, length) = unsafe {
        (
            (&raw const (*ops).__bindgen_anon_3.skb_data).read_volatile() as usize,
            (&raw const (*ops).__bindgen_anon_4.skb_data_end).read_volatile() as usize,
            (&raw const (*ops).skb_len).read_volatile(),
        )
    };
    if data + TCP_HEADER > end {
        return 0;
    }
    // SAFETY: the header is at least so long.
    let header = unsafe { ((data + OFFSET) as *const u8).read() };
    length.saturating_sub(u32::from(header >> 4) * 4)
}

#[inline(always)]
fn gone(sk: *mut bpf_sock, close: Close) {
    let connection = CONNECTIONS.get(sk.cast());
    // SAFETY: null or live storage.
    let Some(connection) = (unsafe { connection.as_mut() }) else {
        return;
    };
    let tied = hello::is_wanted() && tie::depart(connection.cookie);
    if connection.told != 0 {
        end(connection, close);
    } else if tied {
        // Older than the observer, and not told of: only what was seen inside of its process is known.
        end_of(connection.cookie | PLAINTEXT, close);
    }
}

/// The same name that `first_sight::name_of` gave to the data of this connection's handshake.
#[inline(always)]
fn name_of(ops: *mut bpf_sock_ops, start: u32) -> u64 {
    // SAFETY: the context is valid for the whole run; the kernel rewrites these loads.
    unsafe {
        let remote = u32::from_be((&raw const (*ops).remote_port).read_volatile());
        let local = (&raw const (*ops).local_port).read_volatile();
        let ports = (remote & 0xffff) << 16 | local & 0xffff;
        let mapped = |address| [0, 0, 0xffff_u32.to_be(), address];
        let family = (&raw const (*ops).family).read_volatile();
        let local_ip4 = (&raw const (*ops).local_ip4).read_volatile();
        let remote_ip4 = (&raw const (*ops).remote_ip4).read_volatile();
        let local_ip6 = [
            (&raw const (*ops).local_ip6[0]).read_volatile(),
            (&raw const (*ops).local_ip6[1]).read_volatile(),
            (&raw const (*ops).local_ip6[2]).read_volatile(),
            (&raw const (*ops).local_ip6[3]).read_volatile(),
        ];
        let remote_ip6 = [
            (&raw const (*ops).remote_ip6[0]).read_volatile(),
            (&raw const (*ops).remote_ip6[1]).read_volatile(),
            (&raw const (*ops).remote_ip6[2]).read_volatile(),
            (&raw const (*ops).remote_ip6[3]).read_volatile(),
        ];
        if family == INET {
            return handshake::name(mapped(local_ip4), mapped(remote_ip4), ports, start);
        }
        handshake::name(local_ip6, remote_ip6, ports, start)
    }
}
