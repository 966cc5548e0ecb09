//! Birth and end of sockets: where a connection's two streams begin, who made it, and when it is gone.

use aya_ebpf::bindings::{
    BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
    BPF_SOCK_OPS_STATE_CB_FLAG, bpf_sock, bpf_sock_ops,
};
use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_socket_cookie, bpf_sock_ops_cb_flags_set,
};
use aya_ebpf::macros::{cgroup_sock, sock_ops};
use aya_ebpf::programs::{SockContext, SockOpsContext};
use observer_ebpf::loss::Loss;
use observer_ebpf::record::{Close, Role};
use observer_ebpf::walker::{Walk, phase};

use crate::emit::end;
use crate::handshake;
use crate::maps::{CONNECTIONS, OWNERS, count};

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
    if let Some(connection) = unsafe { connection.as_ref() }
        && connection.watched == 0
        && connection.told != 0
    {
        end(connection, Close::Released);
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
    // SAFETY: live storage; the socket is locked while this runs and its first data comes after it.
    let connection = unsafe { &mut *connection };
    // SAFETY: the context is valid for the whole run.
    unsafe {
        bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG.cast_signed());
        connection.cookie = bpf_get_socket_cookie(ops.cast());
        connection.hold = connection.cookie;
    }
    connection.watched = 1;
    connection.role = role as u8;
    let [ingress, egress] = &mut connection.halves;
    // SAFETY: as above.
    let (receive, send) = unsafe { ((*ops).rcv_nxt, (*ops).snd_nxt) };
    // A connecting socket was seen from its SYN on, which may have carried data.
    if ingress.walk.phase == phase::NEW {
        ingress.walk = Walk::from_start(receive);
        ingress.top = receive;
    }
    if egress.walk.phase == phase::NEW {
        egress.walk = Walk::from_start(send);
        egress.top = send;
    }
    if matches!(role, Role::Passive) {
        handshake::adopt(connection, name_of(ops), receive);
    }
}

#[inline(always)]
fn gone(sk: *mut bpf_sock, close: Close) {
    let connection = CONNECTIONS.get(sk.cast());
    // SAFETY: null or live storage.
    if let Some(connection) = unsafe { connection.as_ref() }
        && connection.told != 0
    {
        end(connection, close);
    }
}

/// The same name that `first_sight::name_of` gave to the data of this connection's handshake.
#[inline(always)]
fn name_of(ops: *mut bpf_sock_ops) -> u64 {
    // SAFETY: the context is valid for the whole run; the kernel rewrites these loads.
    unsafe {
        let remote = u32::from_be((&raw const (*ops).remote_port).read_volatile());
        let local = (&raw const (*ops).local_port).read_volatile();
        let ports = u64::from(remote & 0xffff) << 16 | u64::from(local & 0xffff);
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
            return handshake::name(mapped(local_ip4), mapped(remote_ip4), ports);
        }
        handshake::name(local_ip6, remote_ip6, ports)
    }
}
