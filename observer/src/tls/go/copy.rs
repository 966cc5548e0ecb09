//! Where `Read` copies what it gives to its caller: in one call of the function that copies memory. A probe there costs the trap
//! alone, because the kernel carries calls out itself, and does what one at the beginning and one at each return do together.
//! arm64's returns are carried out by the kernel, so nothing is to be gained there.

use std::collections::{HashMap, HashSet};

#[cfg(target_arch = "x86_64")]
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};

#[cfg(target_arch = "x86_64")]
mod frame;

#[cfg(target_arch = "x86_64")]
use frame::Frame;

#[cfg(target_arch = "x86_64")]
const MEMMOVE: &[u8] = b"runtime.memmove";
/// It copies for `Read`, and has always been merged into it.
#[cfg(target_arch = "x86_64")]
const READER: &[u8] = b"bytes.(*Reader).Read";

/// Functions that `Read` calls: eight.
#[cfg(target_arch = "x86_64")]
const MAX_CALLED: usize = 64;

/// Addresses of the functions that the function at `address` calls by their address; `None`: it is not certain.
#[cfg(target_arch = "x86_64")]
pub fn called(code: &[u8], address: u64) -> Option<HashSet<u64>> {
    Frame::read(code, address)?;
    let instructions = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let called: HashSet<u64> = instructions
        .into_iter()
        .filter_map(|each| target(&each))
        .collect();
    (called.len() <= MAX_CALLED).then_some(called)
}

#[cfg(target_arch = "x86_64")]
fn target(instruction: &Instruction) -> Option<u64> {
    let is_direct =
        instruction.mnemonic() == Mnemonic::Call && instruction.op0_kind() == OpKind::NearBranch64;
    is_direct.then(|| instruction.near_branch_target())
}

/// Offset of that call in the code of `Read`, which is at `address`. Wanted is that it is the only one, that it copies to where
/// the caller wants the bytes, and that the kernel program can read the receiver off the stack (see [`Frame`]). `names` are those
/// of the functions that are called; each has to have one. `None`: it is not certain.
#[cfg(target_arch = "x86_64")]
pub fn call(code: &[u8], address: u64, names: &HashMap<u64, Vec<u8>>) -> Option<u64> {
    let frame = Frame::read(code, address)?;
    let mut copy = None;
    let mut to_caller = false;
    for instruction in Decoder::with_ip(64, code, address, DecoderOptions::NONE) {
        if instruction.is_invalid() || frame.is_broken_by(&instruction) {
            return None;
        }
        if instruction.mnemonic() != Mnemonic::Call {
            to_caller = frame.sends_to_caller(&instruction).unwrap_or(to_caller);
            continue;
        }
        if let Some(called) = target(&instruction) {
            let called = names.get(&called)?;
            if called == READER || called == MEMMOVE && (!to_caller || copy.is_some()) {
                return None;
            }
            if called == MEMMOVE {
                copy = Some(instruction.ip().wrapping_sub(address));
            }
        }
        to_caller = false;
    }
    copy
}

#[cfg(not(target_arch = "x86_64"))]
pub fn called(_: &[u8], _: u64) -> Option<HashSet<u64>> {
    None
}

#[cfg(not(target_arch = "x86_64"))]
pub fn call(_: &[u8], _: u64, _: &HashMap<u64, Vec<u8>>) -> Option<u64> {
    None
}
