//! Machine code: where a function returns, and where the check of the stack ends that Go's functions begin with.

/// Offsets of all instructions that return; `None`: not everything is an instruction, so that nothing is certain.
#[cfg(target_arch = "x86_64")]
pub fn returns(code: &[u8]) -> Option<Vec<u64>> {
    use iced_x86::{Decoder, DecoderOptions, Mnemonic};
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut found = Vec::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        if matches!(instruction.mnemonic(), Mnemonic::Ret | Mnemonic::Retf) {
            found.push(instruction.ip());
        }
    }
    Some(found)
}

/// Behind Go's check of the stack: `cmp rsp, [r14+16]`, or of an address below it in `r12`, and a jump to where the stack
/// is enlarged. From there the function is started anew, so that a probe in front of the check would be hit twice; behind
/// it arguments and stack pointer are what they were. That it is there also says that the goroutine is in r14, that
/// is, that arguments are in registers.
#[cfg(target_arch = "x86_64")]
pub fn behind_stack_check(code: &[u8]) -> Option<u64> {
    use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
    /// Of large frames the address is computed first, in four instructions at most.
    const FIRST: usize = 5;
    let is_check = |instruction: &Instruction| {
        instruction.mnemonic() == Mnemonic::Cmp
            && matches!(instruction.op0_register(), Register::RSP | Register::R12)
            && instruction.op1_kind() == OpKind::Memory
            && instruction.memory_base() == Register::R14
            && instruction.memory_index() == Register::None
            && instruction.memory_displacement64() == 16
    };
    let mut instructions = Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter();
    instructions.by_ref().take(FIRST).find(is_check)?;
    let jump = instructions.next()?;
    matches!(jump.mnemonic(), Mnemonic::Jbe | Mnemonic::Jb).then(|| jump.next_ip())
}

/// All instructions have four bytes, and RET has one form.
#[cfg(target_arch = "aarch64")]
pub fn returns(code: &[u8]) -> Option<Vec<u64>> {
    const RET: u32 = 0xd65f_03c0;
    let (words, rest) = code.as_chunks::<4>();
    let found = words.iter().zip((0..).step_by(4));
    let found = found.filter(|(word, _)| u32::from_le_bytes(**word) == RET);
    rest.is_empty().then(|| found.map(|(_, offset)| offset).collect())
}

/// The same: `ldr x16, [x28, #16]`, a comparison with it, and `b.ls`.
#[cfg(target_arch = "aarch64")]
pub fn behind_stack_check(code: &[u8]) -> Option<u64> {
    const LOAD_GUARD: u32 = 0xf940_0b90;
    /// Its target masked out.
    const BRANCH_LOWER_OR_SAME: u32 = 0x5400_0009;
    const FIRST: usize = 8;
    let (words, _) = code.as_chunks::<4>();
    let mut words = words.iter().map(|word| u32::from_le_bytes(*word)).zip(1..);
    words.next().filter(|(word, _)| *word == LOAD_GUARD)?;
    let mut words = words.take(FIRST);
    let (_, behind) = words.find(|(word, _)| word & 0xff00_001f == BRANCH_LOWER_OR_SAME)?;
    Some(4 * behind)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn returns(_: &[u8]) -> Option<Vec<u64>> {
    None
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn behind_stack_check(_: &[u8]) -> Option<u64> {
    None
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn returns_among_other_bytes() {
        // mov eax, 0xc3c3c3c3; ret; ret 8; int3
        let code = [0xb8, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc2, 8, 0, 0xcc];
        assert_eq!(returns(&code), Some(vec![5, 6]));
        assert_eq!(returns(&code[..3]), None, "cut");
        assert_eq!(returns(&[0x06]), None, "no instruction in 64 bits");
        assert_eq!(returns(&[]), Some(vec![]));
    }

    #[test]
    fn stack_checks() {
        // cmp rsp, [r14+16]; jbe
        assert_eq!(behind_stack_check(&[0x49, 0x3b, 0x66, 0x10, 0x76, 0x40]), Some(6));
        // lea r12, [rsp-80]; cmp r12, [r14+16]; jbe (far)
        let large = [
            0x4c, 0x8d, 0x64, 0x24, 0xb0, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0, 1, 0, 0,
        ];
        assert_eq!(behind_stack_check(&large), Some(15));
        assert_eq!(behind_stack_check(&large[..9]), None, "cut");
        // mov rcx, fs:[-8]; cmp rsp, [rcx+16]; jbe: Go 1.16
        let stack = [
            0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff, 0x48, 0x3b, 0x61, 0x10, 0x76, 0x10,
        ];
        assert_eq!(behind_stack_check(&stack), None);
        assert_eq!(behind_stack_check(&[0x55, 0x48, 0x89, 0xe5]), None, "C");
    }

    proptest! {
        #[test]
        fn any_code(code: Vec<u8>) {
            let _ = returns(&code);
            let _ = behind_stack_check(&code);
        }
    }
}
