//! Machine code: where a function returns, and whether it begins as Go's compiler lets functions begin.

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

/// Go's check of the stack: `cmp rsp, [r14+16]`, or of an address below it in `r12`. It also says that the goroutine
/// is in r14, that is, that arguments are in registers.
#[cfg(target_arch = "x86_64")]
pub fn begins_as_go(code: &[u8]) -> bool {
    use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind, Register};
    /// Of large frames the address is computed first, in four instructions at most.
    const FIRST: usize = 5;
    let decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    decoder.into_iter().take(FIRST).any(|instruction| {
        instruction.mnemonic() == Mnemonic::Cmp
            && matches!(instruction.op0_register(), Register::RSP | Register::R12)
            && instruction.op1_kind() == OpKind::Memory
            && instruction.memory_base() == Register::R14
            && instruction.memory_displacement64() == 16
    })
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

/// Go's check of the stack: `ldr x16, [x28, #16]`.
#[cfg(target_arch = "aarch64")]
pub fn begins_as_go(code: &[u8]) -> bool {
    const LOAD_GUARD: u32 = 0xf940_0b90;
    let (words, _) = code.as_chunks::<4>();
    words
        .first()
        .is_some_and(|word| u32::from_le_bytes(*word) == LOAD_GUARD)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn returns(_: &[u8]) -> Option<Vec<u64>> {
    None
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn begins_as_go(_: &[u8]) -> bool {
    false
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
    fn beginnings() {
        assert!(begins_as_go(&[0x49, 0x3b, 0x66, 0x10]), "cmp rsp, [r14+16]");
        let large = [0x4c, 0x8d, 0x64, 0x24, 0xb0, 0x4d, 0x3b, 0x66, 0x10];
        assert!(begins_as_go(&large), "lea r12, [rsp-80]; cmp r12, [r14+16]");
        assert!(
            !begins_as_go(&[0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff]),
            "Go 1.16"
        );
        assert!(!begins_as_go(&[0x55, 0x48, 0x89, 0xe5]), "C");
    }

    proptest! {
        #[test]
        fn any_code(code: Vec<u8>) {
            let _ = returns(&code);
            let _ = begins_as_go(&code);
        }
    }
}
