//! Objects of TLS libraries: what is kept of each, from its beginning to its end.

use observer_ebpf::connection::announced;
use observer_ebpf::loss::Loss;
use observer_ebpf::plaintext::{ObjectKey, PLAINTEXT as MARK, Plaintext, UNTIED};
use observer_ebpf::record::Close;

use crate::emit::end_of;
use crate::maps::{BLANK_OBJECT, OBJECTS, OBSERVED, TIES, count};
use crate::tie;

/// The object, made as one that is older than its probes where it is not known. `None`: its process is not observed, or there
/// is no room, which is counted.
#[inline(always)]
pub fn object(key: &ObjectKey, how: u8) -> Option<*mut Plaintext> {
    if let Some(object) = OBJECTS.get_ptr_mut(key) {
        return Some(object);
    }
    begin(key, how, true);
    OBJECTS.get_ptr_mut(key)
}

/// An object begins.
#[inline(always)]
pub fn begin(key: &ObjectKey, how: u8, joined: bool) {
    if OBSERVED.current_task_under_cgroup(0) != Ok(true) {
        return;
    }
    let Some(blank) = BLANK_OBJECT.get_ptr(0) else {
        return;
    };
    // What is made on the way is too large for the stack: made of a blank one, and set up in place.
    // SAFETY: an array's element, never written.
    if OBJECTS.insert(key, unsafe { &*blank }, 0).is_err() {
        return count(Loss::NoMemory);
    }
    if let Some(object) = OBJECTS.get_ptr_mut(key) {
        // SAFETY: live map memory of an object that has just come to be.
        let object = unsafe { &mut *object };
        if joined {
            object.join(key, how, tie::own_id());
        } else {
            object.start(key, how, tie::own_id());
        }
    }
}

/// An object is no more. One that is tied ends with its socket.
#[inline(always)]
pub fn end(key: &ObjectKey) {
    let Some(object) = OBJECTS.get_ptr_mut(key) else {
        return;
    };
    // SAFETY: live map memory.
    let (id, told) = unsafe { ((*object).id, (*object).announced) };
    if told != announced::NO && id & UNTIED != 0 {
        end_of(id, Close::Gone);
    }
    let _ = TIES.remove(id & !MARK);
    let _ = OBJECTS.remove(key);
}
