//! Which socket an object's bytes go through: found exactly, or not at all.

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_get_smp_processor_id, bpf_ktime_get_ns};
use observer_ebpf::plaintext::{
    Hello, KernelPlaces, MAX_PLACES, ObjectKey, PLAINTEXT, Plaintext, RandomPlace, UNTIED, tie,
};

use crate::maps::{HELLOS, KERNEL, OBJECTS, PLACES, TIES};
use crate::user::{read_kernel, read_user};

/// Where Go has what leads from a `tls.Conn` to its descriptor: the interface's data in its first field, then, each
/// first in the other, `net.TCPConn`, its pointer to `netFD`, and that one's `poll.FD`. Checked by the family and type
/// of the socket behind it.
mod go {
    pub const INTERFACE_DATA: u64 = 8;
    pub const DESCRIPTOR: u64 = 16;
    pub const FAMILY: u64 = 56;
    pub const KIND: u64 = 64;
    pub const STREAM: u64 = 1;
    pub const INET: u64 = 2;
    pub const INET6: u64 = 10;
}

/// The name of the object's connection: with the cookie of its socket, or a number of its own.
#[inline(always)]
pub fn find(object: &Plaintext) -> u64 {
    let cookie = if object.tie == tie::GO {
        by_descriptor(object.key.object)
    } else {
        by_random(object)
    };
    match cookie {
        Some(cookie) if cookie != 0 => {
            let _ = TIES.insert(cookie, object.key, 0);
            cookie | PLAINTEXT
        }
        _ => object.own_id,
    }
}

/// A name that no other object has: the time and the processor at which it was made.
#[inline(always)]
pub fn own_id() -> u64 {
    // SAFETY: none of these has preconditions.
    let (time, processor) = unsafe { (bpf_ktime_get_ns(), bpf_get_smp_processor_id()) };
    (time << 10 | u64::from(processor & 1023)) & (UNTIED - 1) | UNTIED | PLAINTEXT
}

/// By the random number of the client, which has passed the socket in the connection's first message. At which places
/// objects may have it is known of the libraries that are probed; a wrong place has a number that passed no socket.
#[inline(always)]
fn by_random(object: &Plaintext) -> Option<u64> {
    let direction = object.hello()? as u64;
    for index in 0..MAX_PLACES {
        let place = PLACES.get(index)?;
        let Some(random) = random_at(object.key.object, place) else {
            continue;
        };
        // SAFETY: copied at once.
        if let Some(cookie) = unsafe { HELLOS.get(Hello { random, direction }) } {
            return Some(*cookie);
        }
    }
    None
}

#[inline(always)]
fn random_at(object: u64, place: &RandomPlace) -> Option<[u64; 4]> {
    let base = match place.kind {
        0 => return None,
        1 => read_user::<u64>(object + u64::from(place.pointer))?,
        _ => object,
    };
    read_user(base + u64::from(place.offset))
}

/// By Go's file descriptor: the very file that the process has open, and the socket behind it.
#[inline(always)]
fn by_descriptor(connection: u64) -> Option<u64> {
    let inner = read_user::<u64>(connection + go::INTERFACE_DATA)?;
    // The connection itself, or what wraps it in its first field.
    let descriptor = match descriptor(inner) {
        Some(descriptor) => descriptor,
        None => descriptor(read_user::<u64>(inner + go::INTERFACE_DATA)?)?,
    };
    let places = KERNEL.get(0)?;
    if places.known == 0 {
        return None;
    }
    cookie_of(places, descriptor)
}

#[inline(always)]
fn descriptor(connection: u64) -> Option<u64> {
    let descriptor = read_user::<u64>(connection)?;
    let family = read_user::<u64>(descriptor + go::FAMILY)?;
    let kind = read_user::<u64>(descriptor + go::KIND)?;
    if kind != go::STREAM || (family != go::INET && family != go::INET6) {
        return None;
    }
    read_user::<u64>(descriptor + go::DESCRIPTOR)
}

#[inline(always)]
fn cookie_of(places: &KernelPlaces, descriptor: u64) -> Option<u64> {
    // SAFETY: no preconditions.
    let task = unsafe { bpf_get_current_task() };
    let files = read_kernel::<u64>(task + u64::from(places.task_files))?;
    let table = read_kernel::<u64>(files + u64::from(places.files_table))?;
    let size = read_kernel::<u32>(table + u64::from(places.table_size))?;
    if descriptor >= u64::from(size) {
        return None;
    }
    let open = read_kernel::<u64>(table + u64::from(places.table_files))?;
    let file = read_kernel::<u64>(open + descriptor * 8)?;
    let socket = read_kernel::<u64>(file + u64::from(places.file_private))?;
    // Only a socket points back to its file from there.
    if read_kernel::<u64>(socket + u64::from(places.socket_file))? != file {
        return None;
    }
    let sock = read_kernel::<u64>(socket + u64::from(places.socket_sock))?;
    read_kernel::<u64>(sock + u64::from(places.sock_cookie))
}

/// The socket is gone. Its object is not before its program is done with it: what had come may be read later. Says whether there
/// is one.
#[inline(always)]
pub fn depart(cookie: u64) -> bool {
    // SAFETY: copied at once.
    let Some(&key) = (unsafe { TIES.get(cookie) }) else {
        return false;
    };
    let key: ObjectKey = key;
    let _ = TIES.remove(cookie);
    let Some(object) = OBJECTS.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: live map memory; each of these is set once, by one of two threads, and both look at the other one's then.
    // Should neither see it, the daemon finds the object (`Attacher::forget`).
    unsafe {
        if (*object).id != cookie | PLAINTEXT {
            return false;
        }
        (*object).departed = 1;
        if (*object).closed != 0 {
            let _ = OBJECTS.remove(key);
        }
    }
    true
}
