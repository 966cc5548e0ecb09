//! Where a probe is cheap. Of a few instructions the kernel knows what they do, and does it itself; any other one is run by the
//! processor out of line, in a single step, and the exception behind that is dear on a virtual machine: 25 µs where a probe
//! without it takes 0.7 (`docs/tls.md`).

use super::Reason;
use super::bytes::Bytes;
use super::elf::Elf;

/// Enough for the first instruction, and what may be in front of it.
const BEGINNING: u64 = 16;

/// In front of functions that are jumped to by address, where a compiler was asked for it. Nothing is changed by it, so
/// that the function can be probed behind it as well.
#[cfg(target_arch = "x86_64")]
const LANDING: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// Where a function is probed that begins at `offset`, and whether that is cheap.
pub fn beginning<B: Bytes + ?Sized>(elf: &Elf<'_, B>, offset: u64) -> Result<(u64, bool), Reason> {
    let size = BEGINNING.min(elf.bytes().length().saturating_sub(offset));
    let code = elf.bytes().piece(offset, size, BEGINNING)?;
    let landing = behind_landing(&code);
    let first = usize::try_from(landing)
        .ok()
        .and_then(|landing| code.get(landing..));
    Ok((offset + landing, is_emulated(first.unwrap_or_default())))
}

/// Bytes to pass over at the beginning of a function.
#[cfg(target_arch = "x86_64")]
pub fn behind_landing(code: &[u8]) -> u64 {
    if code.starts_with(&LANDING) {
        LANDING.len() as u64
    } else {
        0
    }
}

/// Whether the kernel carries out the first instruction itself: a push, a jump, a call, a NOP of one byte
/// (`push_setup_xol_ops` and `branch_setup_xol_ops` in its arch/x86/kernel/uprobes.c). Others that it knows are not what functions begin with.
#[cfg(target_arch = "x86_64")]
pub fn is_emulated(code: &[u8]) -> bool {
    matches!(
        code,
        [0x50..=0x57 | 0x70..=0x7f | 0x90 | 0xe8 | 0xe9 | 0xeb, ..] | [0x41, 0x50..=0x57, ..] | [0x0f, 0x80..=0x8f, ..]
    )
}

/// The function that this one, of four arguments, calls first of all with the same arguments; `None`: none, or that is not
/// certain. No argument is kept for later, so whatever this one promises to do with them is done there.
#[cfg(target_arch = "x86_64")]
pub fn passed_on(code: &[u8], address: u64) -> Option<u64> {
    use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind, Register};
    /// Registers to save, a frame pointer, room on the stack.
    const MOST: usize = 12;
    const ARGUMENTS: [Register; 4] = [Register::RDI, Register::RSI, Register::RDX, Register::RCX];
    for instruction in Decoder::with_ip(64, code, address, DecoderOptions::NONE)
        .into_iter()
        .take(MOST)
    {
        let [first, second] = [instruction.op0_register(), instruction.op1_register()];
        match instruction.mnemonic() {
            Mnemonic::Endbr64 => {}
            Mnemonic::Push if instruction.op0_kind() == OpKind::Register && !ARGUMENTS.contains(&first) => {}
            Mnemonic::Mov if first == Register::RBP && second == Register::RSP => {}
            Mnemonic::Sub if first == Register::RSP && second == Register::None => {}
            Mnemonic::Call if instruction.op0_kind() == OpKind::NearBranch64 => {
                return Some(instruction.near_branch_target());
            }
            _ => return None,
        }
    }
    None
}

/// Offsets of its calls of the function at `target`; `None`: not everything is an instruction.
#[cfg(target_arch = "x86_64")]
pub fn calls(code: &[u8], address: u64, target: u64) -> Option<Vec<u64>> {
    use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind};
    let mut found = Vec::new();
    for instruction in Decoder::with_ip(64, code, address, DecoderOptions::NONE) {
        if instruction.is_invalid() {
            return None;
        }
        let direct =
            instruction.mnemonic() == Mnemonic::Call && instruction.op0_kind() == OpKind::NearBranch64;
        if direct && instruction.near_branch_target() == target {
            found.push(instruction.ip().wrapping_sub(address));
        }
    }
    Some(found)
}

/// Of other processors nothing is known: their functions are probed where they begin.
#[cfg(not(target_arch = "x86_64"))]
pub fn behind_landing(_: &[u8]) -> u64 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
pub fn is_emulated(_: &[u8]) -> bool {
    true
}

#[cfg(not(target_arch = "x86_64"))]
pub fn passed_on(_: &[u8], _: u64) -> Option<u64> {
    None
}

#[cfg(not(target_arch = "x86_64"))]
pub fn calls(_: &[u8], _: u64, _: u64) -> Option<Vec<u64>> {
    None
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_kernel_carries_out() {
        // push rbp; push r12; nop; call; jne near; js short
        for known in [
            &[0x55][..],
            &[0x41, 0x54],
            &[0x90],
            &[0xe8, 1, 0, 0, 0],
            &[0x0f, 0x85],
            &[0x78, 0],
        ] {
            assert!(is_emulated(known), "{known:x?}");
        }
        // sub rsp, 24; endbr64; test rdi, rdi; push of a constant; ret
        for unknown in [
            &[0x48, 0x83, 0xec, 0x18][..],
            &LANDING,
            &[0x48, 0x85, 0xff],
            &[0x68],
            &[0xc3],
            &[],
        ] {
            assert!(!is_emulated(unknown), "{unknown:x?}");
        }
        assert_eq!(behind_landing(&[0xf3, 0x0f, 0x1e, 0xfa, 0x55]), 4);
        assert_eq!(behind_landing(&[0x55]), 0);
    }

    #[test]
    fn passed_on_as_it_came() {
        // sub rsp, 8; call +0x10: OpenSSL 3.0 as Debian has it
        let direct = [0x48, 0x83, 0xec, 8, 0xe8, 0x10, 0, 0, 0];
        assert_eq!(passed_on(&direct, 0x1000), Some(0x1019));
        // endbr64; push rbp; mov rbp, rsp; call
        let framed = [0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5, 0xe8, 0, 0, 0, 0];
        assert_eq!(passed_on(&framed, 0x1000), Some(0x100d));
        // push rcx, mov rbx, rcx, xor ecx, ecx and mov r8, rcx in front of it: kept, or another argument
        for first in [
            &[0x51][..],
            &[0x48, 0x89, 0xcb],
            &[0x31, 0xc9],
            &[0x49, 0x89, 0xc8],
        ] {
            assert_eq!(passed_on(&[first, &direct].concat(), 0x1000), None, "{first:x?}");
        }
        assert_eq!(passed_on(&direct[..6], 0x1000), None, "cut");
        // call rax
        assert_eq!(passed_on(&[0xff, 0xd0], 0x1000), None);
    }

    #[test]
    fn calls_of_one_function() {
        // nop; call 0x1010; call 0x1000; call 0x1010
        let code = [
            0x90, 0xe8, 0x0a, 0, 0, 0, 0xe8, 0xf5, 0xff, 0xff, 0xff, 0xe8, 0, 0, 0, 0,
        ];
        assert_eq!(calls(&code, 0x1000, 0x1010), Some(vec![1, 11]));
        assert_eq!(calls(&code, 0x1000, 0x1020), Some(vec![]));
        assert_eq!(calls(&code[..3], 0x1000, 0x1010), None, "cut");
    }

    proptest! {
        #[test]
        fn any_code(code: Vec<u8>, address: u64) {
            let _ = (behind_landing(&code), is_emulated(&code));
            if let Some(target) = passed_on(&code, address) {
                let _ = calls(&code, address, target);
            }
        }
    }
}
