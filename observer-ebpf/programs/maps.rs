//! The maps, with the arithmetic behind their sizes, and the few calls they take.

use core::ffi::c_void;
use core::ptr::{from_ref, null_mut};

use aya_ebpf::bindings::bpf_map_type::BPF_MAP_TYPE_SK_STORAGE;
use aya_ebpf::bindings::{BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE};
use aya_ebpf::btf_maps::{Array, CgroupArray, HashMap, LruHashMap, ProgramArray, Queue, RingBuf};
use aya_ebpf::helpers::generated::{bpf_sk_storage_get, bpf_spin_lock, bpf_spin_unlock};
use aya_ebpf::macros::btf_map;
use observer_ebpf::change::{MAX_NAMESPACES, PORT_WORDS, SocketPlaces};
use observer_ebpf::connection::{Connection, Half, Held, HeldKey, MAX_HELD, Owner};
use observer_ebpf::loss::Loss;
use observer_ebpf::plaintext::{
    Call, CallKey, Hello, KernelPlaces, MAX_CALLS, MAX_HELLOS, MAX_OBJECTS, MAX_PLACES, ObjectKey, Plaintext,
    RandomPlace, Run,
};
use observer_ebpf::record::Direction;

/// Socket storage; aya's own type has no constructor for flags such as clone.
#[repr(C)]
pub struct SocketStorage<T, const FLAGS: usize> {
    r#type: *const [i32; BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; FLAGS],
}

// SAFETY: the fields are placeholders for the loader and are never read.
unsafe impl<T, const FLAGS: usize> Sync for SocketStorage<T, FLAGS> {}

impl<T, const FLAGS: usize> SocketStorage<T, FLAGS> {
    const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    #[inline(always)]
    pub fn get(&self, sk: *mut c_void) -> *mut T {
        self.call(sk, 0)
    }

    /// The storage of `sk`, made (all zero) where there is none; null: no memory.
    #[inline(always)]
    pub fn get_or_make(&self, sk: *mut c_void) -> *mut T {
        self.call(sk, BPF_SK_STORAGE_GET_F_CREATE as u64)
    }

    #[inline(always)]
    fn call(&self, sk: *mut c_void, flags: u64) -> *mut T {
        // SAFETY: the kernel returns null or storage of the map's value size, which lives as long as the socket.
        unsafe { bpf_sk_storage_get(from_ref(self).cast_mut().cast(), sk, null_mut(), flags).cast() }
    }
}

/// One per TCP socket with payload traffic; freed by the kernel with the socket.
#[btf_map]
pub static CONNECTIONS: SocketStorage<Connection, { BPF_F_NO_PREALLOC as usize }> = SocketStorage::new();

/// Who made the socket; cloned from listening to accepted sockets.
#[btf_map]
pub static OWNERS: SocketStorage<Owner, { (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize }> =
    SocketStorage::new();

/// Records on their way to the daemon. The size here is the smallest; the daemon sets the configured one.
#[btf_map]
pub static RECORDS: RingBuf<[u8; 0], { 1 << 16 }> = RingBuf::new();

/// Segments that wait for a hole before them to be filled. Allocated only while it is so.
#[btf_map]
pub static HELD: HashMap<HeldKey, Held, MAX_HELD, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Data on segments that complete a handshake, until the connection they belong to exists: one round of one
/// program run. Least recently used go first, so that a flood of such segments cannot fill it for long.
/// 64 parts of 16 KiB: 1 MiB.
#[btf_map]
pub static HANDSHAKES: LruHashMap<HeldKey, Held, 64> = LruHashMap::new();

/// Sockets whose end found the ring full. Looked after by the daemon every few seconds; a ring that stays full for
/// longer than so many sockets end is counted as it is.
#[btf_map]
pub static GONE: Queue<u64, 8192> = Queue::new();

/// Never written: what new entries of the two maps above are made from.
#[btf_map]
pub static BLANK: Array<Held, 1> = Array::new();

/// How often each [`Loss`] happened.
#[btf_map]
pub static LOSSES: Array<u64, { Loss::ALL.len() }> = Array::new();

/// Written by the daemon: where members of sockets are.
#[btf_map]
pub static SOCKET_PLACES: Array<SocketPlaces, 1> = Array::new();

/// Written by the daemon: ports of databases.
#[btf_map]
pub static DATABASE_PORTS: Array<u64, PORT_WORDS> = Array::new();

/// Namespaces that the daemon wants to know of, by their number, and how often something has changed in each.
#[btf_map]
pub static CHANGES: HashMap<u32, u64, MAX_NAMESPACES> = HashMap::new();

/// Programs to go on with. One array per hook: new kernels want all programs of an array to be of one attach type.
#[btf_map]
pub static INGRESS: ProgramArray<10> = ProgramArray::new();
#[btf_map]
pub static EGRESS: ProgramArray<10> = ProgramArray::new();

/// Objects that encrypt, of all processes. The daemon makes this and the maps below of one entry where TLS is not asked for.
#[btf_map]
pub static OBJECTS: HashMap<ObjectKey, Plaintext, MAX_OBJECTS> = HashMap::new();

/// The object of a socket that is known to be encrypted by it, by the socket's cookie.
#[btf_map]
pub static TIES: HashMap<u64, ObjectKey, MAX_OBJECTS> = HashMap::new();

/// Calls of TLS libraries that have begun. Threads may end inside of one, hence the least recently used go: the object
/// knows that a call has not ended.
#[btf_map]
pub static CALLS: LruHashMap<CallKey, Call, MAX_CALLS> = LruHashMap::new();

/// What a thread's program run is about, for the programs that go on with it. A run removes its own.
#[btf_map]
pub static RUNS: LruHashMap<u64, Run, MAX_CALLS> = LruHashMap::new();

/// First messages of TLS connections, and the cookies of the sockets that they passed.
#[btf_map]
pub static HELLOS: LruHashMap<Hello, u64, MAX_HELLOS> = LruHashMap::new();

/// Written by the daemon: where SSL objects have their random number.
#[btf_map]
pub static PLACES: Array<RandomPlace, { MAX_PLACES as usize }> = Array::new();

/// Written by the daemon: where members of kernel types are.
#[btf_map]
pub static KERNEL: Array<KernelPlaces, 1> = Array::new();

/// Set by the daemon: the cgroup below which processes are observed. Their packets are by where the programs are attached;
/// probes are in files, which any process may use.
#[btf_map]
pub static OBSERVED: CgroupArray<1> = CgroupArray::new();

/// Never written: what new objects are made from.
#[btf_map]
pub static BLANK_OBJECT: Array<Plaintext, 1> = Array::new();

/// Programs to go on with, over plaintext.
#[btf_map]
pub static PLAINTEXT: ProgramArray<3> = ProgramArray::new();

/// Index in [`PLAINTEXT`].
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Plain {
    /// Go on with the frames of the chunk.
    Walk = 0,
    /// Go on with the chunk, which is not at frames (yet).
    Open = 1,
    /// Tell of the connection, then `Plaintext::resume`.
    Announce = 2,
}

/// Index in [`INGRESS`] and [`EGRESS`].
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Next {
    /// Begin with the segment (again).
    Entry = 0,
    /// Go on with the frames of the segment.
    Walk = 1,
    /// Go on with the segment, which is not at frames (yet).
    Open = 2,
    /// Tell of the connection, then `Half::resume`.
    Announce = 3,
    /// The segment has to wait: store it.
    Store = 4,
    /// Go on with what waited: its frames, or what is before them.
    Drain = 5,
    DrainOpen = 6,
    /// The same for ingress, in the egress hook; then begin with the segment. Egress only.
    Cross = 7,
    CrossOpen = 8,
    CrossAnnounce = 9,
}

/// Counts a loss.
#[inline(always)]
pub fn count(loss: Loss) {
    if let Some(cell) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: array elements are 8-aligned and live as long as the map.
        unsafe { increase(cell) };
    }
}

/// Adds one, whoever else does. `core` has no atomics for this target.
///
/// # Safety
///
/// The cell is live and 8-aligned.
#[inline(always)]
pub unsafe fn increase(cell: *mut u64) {
    // SAFETY: by contract.
    unsafe { core::arch::asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) cell, in(reg) 1_u64) };
}

/// Runs `act` under the lock of the connection. It must not call the kernel.
#[inline(always)]
pub fn locked<R>(connection: *mut Connection, act: impl FnOnce(&mut [Half; 2]) -> R) -> R {
    // SAFETY: the lock belongs to live storage; the verifier proves that it is released on every path.
    unsafe { bpf_spin_lock((&raw mut (*connection).lock).cast()) };
    // SAFETY: fields that are shared between runs are only touched under the lock.
    let result = act(unsafe { &mut (*connection).halves });
    // SAFETY: as above.
    unsafe { bpf_spin_unlock((&raw mut (*connection).lock).cast()) };
    result
}

/// The half of a direction, without an index that the verifier would have to bound.
#[inline(always)]
pub fn half(halves: &mut [Half; 2], direction: Direction) -> &mut Half {
    let [ingress, egress] = halves;
    match direction {
        Direction::Ingress => ingress,
        Direction::Egress => egress,
    }
}
