//! Probes of OpenSSL and its kin: what `SSL_write` is handed, and what `SSL_read` hands out.
//!
//! What is written is walked when the call begins: at its end the answer may have been read by another thread. Where the
//! library takes only a part, or nothing, the program offers the rest again; that is not walked twice.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use core::ffi::c_void;
use observer_ebpf::plaintext::{Call, CallKey, Plaintext, tie};
use observer_ebpf::record::Direction;

use crate::maps::{CALLS, OBJECTS};
use crate::object::{begin, end, object};
use crate::plaintext::{half, run};
use crate::user::{key_of, read_user, thread};

/// No program hands over more at once; lengths beyond are mistakes.
const MAX_LENGTH: u64 = 1 << 31;

/// `SSL_new` has made one.
#[uretprobe]
#[inline(always)]
pub fn ssl_created(context: RetProbeContext) -> u32 {
    let made: u64 = context.ret();
    if made != 0 {
        begin(&key_of(made), tie::RANDOM, false);
    }
    0
}

/// `SSL_clear`: used again for another connection.
#[uprobe]
#[inline(always)]
pub fn ssl_cleared(context: ProbeContext) -> u32 {
    if let Some(ssl) = context.arg::<u64>(0) {
        let key = key_of(ssl);
        // Only what is known: `SSL_new` calls it too, and tells itself.
        if OBJECTS.get_ptr(key).is_some() {
            end(&key);
            begin(&key, tie::RANDOM, false);
        }
    }
    0
}

#[uprobe]
#[inline(always)]
pub fn ssl_freed(context: ProbeContext) -> u32 {
    if let Some(ssl) = context.arg::<u64>(0) {
        end(&key_of(ssl));
    }
    0
}

#[uprobe]
#[inline(always)]
pub fn ssl_write(context: ProbeContext) -> u32 {
    offered(&context, 0);
    0
}

#[uprobe]
#[inline(always)]
pub fn ssl_write_ex(context: ProbeContext) -> u32 {
    if let Some(count) = context.arg::<u64>(3) {
        offered(&context, count);
    }
    0
}

#[uprobe]
#[inline(always)]
pub fn ssl_read(context: ProbeContext) -> u32 {
    asked(&context, 0);
    0
}

#[uprobe]
#[inline(always)]
pub fn ssl_read_ex(context: ProbeContext) -> u32 {
    if let Some(count) = context.arg::<u64>(3) {
        asked(&context, count);
    }
    0
}

#[uretprobe]
#[inline(always)]
pub fn ssl_write_end(context: RetProbeContext) -> u32 {
    if let Some((object, _, length)) = ended(&context, Direction::Egress) {
        // SAFETY: live map memory; an object is written to by one thread at a time.
        half(unsafe { &mut *object }, Direction::Egress).taken(length);
    }
    0
}

#[uretprobe]
#[inline(always)]
pub fn ssl_read_end(context: RetProbeContext) -> u32 {
    if let Some((object, buffer, length)) = ended(&context, Direction::Ingress) {
        // SAFETY: live map memory; an object is read by one thread at a time.
        half(unsafe { &mut *object }, Direction::Ingress).inside = 0;
        run(context.as_ptr(), object, Direction::Ingress, buffer, length);
    }
    0
}

/// A program offers bytes to be written.
#[inline(always)]
fn offered(context: &ProbeContext, count: u64) {
    let (Some(ssl), Some(buffer), Some(length)) = (
        context.arg::<u64>(0),
        context.arg::<u64>(1),
        context.arg::<u64>(2),
    ) else {
        return;
    };
    // `int` in one of the two.
    let length = if count == 0 { length & 0xffff_ffff } else { length };
    if length >= MAX_LENGTH {
        return;
    }
    let Some(object) = enter(ssl, buffer, count, Direction::Egress) else {
        return;
    };
    // SAFETY: live map memory; an object is written to by one thread at a time.
    let before = half(unsafe { &mut *object }, Direction::Egress).offer(length as u32);
    let context: *mut c_void = context.as_ptr();
    run(
        context,
        object,
        Direction::Egress,
        buffer + u64::from(before),
        length as u32 - before,
    );
}

/// A program asks for what came.
#[inline(always)]
fn asked(context: &ProbeContext, count: u64) {
    let (Some(ssl), Some(buffer)) = (context.arg::<u64>(0), context.arg::<u64>(1)) else {
        return;
    };
    if let Some(object) = enter(ssl, buffer, count, Direction::Ingress) {
        // SAFETY: live map memory; an object is read by one thread at a time.
        half(unsafe { &mut *object }, Direction::Ingress).enter();
    }
}

/// A call begins, on an object that is worth following.
#[inline(always)]
fn enter(ssl: u64, buffer: u64, count: u64, direction: Direction) -> Option<*mut Plaintext> {
    let object = object(&key_of(ssl), tie::RANDOM)?;
    // SAFETY: live map memory.
    if unsafe { (*object).shared.settled } != 0 {
        return None;
    }
    let call = Call {
        object: ssl,
        buffer,
        count,
    };
    // One that finds no room is seen to be missing when the next begins.
    let _ = CALLS.insert(this_call(direction), call, 0);
    Some(object)
}

/// A call ends: its object, its buffer and how many bytes it was about.
#[inline(always)]
fn ended(context: &RetProbeContext, direction: Direction) -> Option<(*mut Plaintext, u64, u32)> {
    let name = this_call(direction);
    // SAFETY: the entry is this thread's own.
    let call = *unsafe { CALLS.get(name) }?;
    let _ = CALLS.remove(name);
    let object = OBJECTS.get_ptr_mut(key_of(call.object))?;
    let returned: i32 = context.ret::<u64>() as i32;
    let length = if returned <= 0 {
        0
    } else if call.count == 0 {
        u64::from(returned.cast_unsigned())
    } else {
        read_user::<u64>(call.count).unwrap_or(0)
    };
    Some((
        object,
        call.buffer,
        if length < MAX_LENGTH { length as u32 } else { 0 },
    ))
}

#[inline(always)]
fn this_call(direction: Direction) -> CallKey {
    CallKey {
        thread: thread(),
        process: 0,
        direction: u32::from(direction as u8),
    }
}
