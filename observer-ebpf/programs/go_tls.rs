//! Probes of Go's `crypto/tls`. Arguments are in registers (Go 1.17): receiver, then pointer, length and capacity of the slice.
//!
//! What is read is seen where it is copied to the caller, if that is one certain place (x86-64), else at the beginning and end of the
//! call. It may end on another thread than it began, so it is known by its goroutine. Its end is probed at its return
//! instructions: Go moves stacks, and a return address that was replaced would not be moved with them.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;
use observer_ebpf::loss::Loss;
use observer_ebpf::plaintext::{Call, CallKey, tie};
use observer_ebpf::record::Direction;

use crate::maps::{CALLS, OBJECTS, count};
use crate::object::{begin, end, object};
use crate::plaintext::{half, run};
use crate::user::{key_of, read_user, thread};

const MAX_LENGTH: u64 = 1 << 31;

/// Room for the receiver, behind the caller's frame pointer, at which the frame pointer points, and the return address.
const RECEIVER: u64 = 16;

/// The registers that Go passes arguments and results in, the one of the goroutine, and where its stack ends and the frame of the
/// function at hand begins.
struct Registers {
    first: u64,
    second: u64,
    third: u64,
    goroutine: u64,
    stack: u64,
    frame: u64,
}

#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
fn registers(context: &ProbeContext) -> Registers {
    // SAFETY: the context is valid for the whole run.
    let regs = unsafe { &*context.regs };
    Registers {
        first: regs.rax,
        second: regs.rbx,
        third: regs.rcx,
        goroutine: regs.r14,
        stack: regs.rsp,
        frame: regs.rbp,
    }
}

#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
fn registers(context: &ProbeContext) -> Registers {
    // SAFETY: the context is valid for the whole run.
    let regs = unsafe { &*context.regs };
    Registers {
        first: regs.regs[0],
        second: regs.regs[1],
        third: regs.regs[2],
        goroutine: regs.regs[28],
        stack: regs.sp,
        frame: regs.regs[29],
    }
}

#[cfg(not(any(bpf_target_arch = "x86_64", bpf_target_arch = "aarch64")))]
#[inline(always)]
fn registers(_context: &ProbeContext) -> Registers {
    Registers {
        first: 0,
        second: 0,
        third: 0,
        goroutine: 0,
        stack: 0,
        frame: 0,
    }
}

/// A handshake begins, once for each connection: whatever was at its address is no more.
#[uprobe]
#[inline(always)]
pub fn go_handshake(context: ProbeContext) -> u32 {
    let key = key_of(registers(&context).first);
    end(&key);
    begin(&key, tie::GO, false);
    0
}

/// What is written is walked when the call begins. Go takes all of it, or the connection is broken for good.
#[uprobe]
#[inline(always)]
pub fn go_write(context: ProbeContext) -> u32 {
    let Registers {
        first, second, third, ..
    } = registers(&context);
    if third >= MAX_LENGTH {
        return 0;
    }
    let Some(object) = object(&key_of(first), tie::GO) else {
        return 0;
    };
    // SAFETY: live map memory.
    if unsafe { (*object).shared.settled } == 0 {
        run(context.as_ptr(), object, Direction::Egress, second, third as u32);
    }
    0
}

#[uprobe]
#[inline(always)]
pub fn go_read(context: ProbeContext) -> u32 {
    let Registers {
        first,
        second,
        goroutine,
        ..
    } = registers(&context);
    let Some(object) = object(&key_of(first), tie::GO) else {
        return 0;
    };
    // SAFETY: live map memory; a connection is read by one goroutine at a time.
    if unsafe { (*object).shared.settled } != 0 {
        return 0;
    }
    let call = Call {
        object: first,
        buffer: second,
        count: 0,
    };
    let _ = CALLS.insert(this_call(goroutine), call, 0);
    // SAFETY: as above.
    half(unsafe { &mut *object }, Direction::Ingress).enter();
    0
}

/// At each return instruction of the reading function: the first register has how much was read.
#[uprobe]
#[inline(always)]
pub fn go_read_end(context: ProbeContext) -> u32 {
    let registers = registers(&context);
    let (first, name) = (registers.first, this_call(registers.goroutine));
    // SAFETY: the entry is this goroutine's own.
    let known = unsafe { CALLS.get(name) }.copied();
    let Some(call) = known.or_else(|| older_call(&registers)) else {
        return 0;
    };
    let _ = CALLS.remove(name);
    let Some(object) = OBJECTS.get_ptr_mut(key_of(call.object)) else {
        return 0;
    };
    // SAFETY: live map memory; a connection is read by one goroutine at a time.
    half(unsafe { &mut *object }, Direction::Ingress).inside = 0;
    if first < MAX_LENGTH {
        run(
            context.as_ptr(),
            object,
            Direction::Ingress,
            call.buffer,
            first as u32,
        );
    }
    0
}

/// At the call that copies to the caller what was read: source and length are the second and third argument, and the receiver of
/// the reading function is on the stack. The bytes are walked where they are copied from. Neither the beginning nor the end
/// of the call is probed then, so that no call is known to be under way.
#[uprobe]
#[inline(always)]
pub fn go_read_copy(context: ProbeContext) -> u32 {
    let Registers {
        second, third, frame, ..
    } = registers(&context);
    if third >= MAX_LENGTH {
        return 0;
    }
    let Some(receiver) = read_user::<u64>(frame.wrapping_add(RECEIVER)) else {
        count(Loss::UnreadableSegment);
        return 0;
    };
    let Some(object) = object(&key_of(receiver), tie::GO) else {
        return 0;
    };
    // SAFETY: live map memory; a connection is read by one goroutine at a time.
    if unsafe { (*object).shared.settled } == 0 {
        run(context.as_ptr(), object, Direction::Ingress, second, third as u32);
    }
    0
}

/// The first call of a connection that is older than its probes: a goroutine waits in it for what comes next. The function has
/// put its arguments where Go has room for them, behind the return address; that they are there is not believed, but
/// what is read there has to look like HTTP/2, as everything of such a connection.
#[inline(always)]
fn older_call(registers: &Registers) -> Option<Call> {
    let count = registers.first;
    if count == 0 || count >= MAX_LENGTH {
        return None;
    }
    let [receiver, buffer, length] = read_user::<[u64; 3]>(registers.stack.wrapping_add(8))?;
    if receiver == 0 || buffer == 0 || length < count || length >= MAX_LENGTH {
        return None;
    }
    let object = object(&key_of(receiver), tie::GO)?;
    // SAFETY: live map memory; a connection is read by one goroutine at a time.
    let object = unsafe { &mut *object };
    if object.shared.joined == 0
        || object.shared.settled != 0
        || half(object, Direction::Ingress).position != 0
    {
        return None;
    }
    Some(Call {
        object: receiver,
        buffer,
        count: 0,
    })
}

/// A connection that has a socket ends with it; what is written to it after this fails.
#[uprobe]
#[inline(always)]
pub fn go_close(context: ProbeContext) -> u32 {
    let key = key_of(registers(&context).first);
    if let Some(object) = OBJECTS.get_ptr_mut(key) {
        // SAFETY: live map memory.
        let id = unsafe { (*object).id };
        if id == 0 || id & observer_ebpf::plaintext::UNTIED != 0 {
            end(&key);
        } else {
            // SAFETY: as above.
            let departed = unsafe {
                (*object).shared.settled = 1;
                (*object).closed = 1;
                (*object).departed
            };
            if departed != 0 {
                end(&key);
            }
        }
    }
    0
}

#[inline(always)]
fn this_call(goroutine: u64) -> CallKey {
    CallKey {
        thread: goroutine,
        process: (thread() >> 32) as u32,
        direction: u32::from(Direction::Ingress as u8),
    }
}
