//! Code as compilers make it, by hand; real libraries are in `tls::tests`.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(code: &[u8], expected: Option<(Option<u32>, u32)>) {
    let found = place(code, 0x1000).map(|place| (place.pointer, place.offset));
    assert_eq!(found, expected, "{code:02x?}");
}

#[test]
fn jump_to_memcpy() {
    // lea rax, [rdi+0x160]; mov rdi, rsi; mov rsi, rax; jmp (far away)
    let code = [
        0x48, 0x8d, 0x87, 0x60, 1, 0, 0, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xc6, 0xe9, 0, 0, 1, 0,
    ];
    check(&code, Some((None, 0x160)));
}

#[test]
fn call_of_memcpy_behind_a_pointer() {
    // mov rax, [rdi+0x30]; mov rdi, rsi; lea rsi, [rax+0x58]; call; ret
    let code = [
        0x48, 0x8b, 0x47, 0x30, 0x48, 0x89, 0xf7, 0x48, 0x8d, 0x70, 0x58, 0xe8, 0, 0, 1, 0, 0xc3,
    ];
    check(&code, Some((Some(0x30), 0x58)));
}

#[test]
fn vectors_behind_a_pointer() {
    // mov rax, [rdi+0x30]; add rax, 0x18; movups xmm0, [rax]; movups xmm1, [rax+16]; movups [rsi], xmm0;
    // movups [rsi+16], xmm1; ret
    let code = [
        0x48, 0x8b, 0x47, 0x30, 0x48, 0x83, 0xc0, 0x18, 0x0f, 0x10, 0x00, 0x0f, 0x10, 0x48, 0x10, 0x0f, 0x11,
        0x06, 0x0f, 0x11, 0x4e, 0x10, 0xc3,
    ];
    check(&code, Some((Some(0x30), 0x18)));
}

#[test]
fn two_answers_are_none() {
    // test edx, edx; je +9; mov rax, [rdi+8]; mov [rsi], rax; jmp +7; mov rax, [rdi+16]; mov [rsi], rax; ret
    let code = [
        0x85, 0xd2, 0x74, 0x09, 0x48, 0x8b, 0x47, 0x08, 0x48, 0x89, 0x06, 0xeb, 0x07, 0x48, 0x8b, 0x47, 0x10,
        0x48, 0x89, 0x06, 0xc3,
    ];
    check(&code, None);
}

#[test]
fn nothing_copied() {
    check(&[0xc3], None);
    check(&[], None);
    check(&[0x06], None);
    check(&[0xeb, 0xfe], None); // jumps to itself
}

#[test]
fn a_value_that_changed_is_forgotten() {
    // lea rax, [rdi+0x160]; mov rdi, rsi; mov rsi, rax; xor esi, esi; jmp (far away)
    let code = [
        0x48, 0x8d, 0x87, 0x60, 1, 0, 0, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xc6, 0x31, 0xf6, 0xe9, 0, 0, 1, 0,
    ];
    check(&code, None);
}

#[test]
fn parts_of_registers() {
    use Register as R;
    for (part, whole) in [
        (R::AL, R::RAX),
        (R::BH, R::RBX),
        (R::SPL, R::RSP),
        (R::DIL, R::RDI),
        (R::R15L, R::R15),
    ] {
        assert_eq!(slot(part), slot(whole), "{part:?}");
    }
    for (part, whole) in [
        (R::ECX, R::RCX),
        (R::R9W, R::R9),
        (R::ZMM31, R::XMM31),
        (R::YMM0, R::XMM0),
    ] {
        assert_eq!(slot(part), slot(whole), "{part:?}");
    }
    for none in [R::None, R::CS, R::RIP, R::CR0, R::K1, R::ST0] {
        assert_eq!(slot(none), None, "{none:?}");
    }
}

proptest! {
    #[test]
    fn any_code(code: Vec<u8>, address: u64) {
        let _ = place(&code, address);
    }

    /// Of real instructions, in any order: loops and branches everywhere.
    #[test]
    fn any_program(order in proptest::collection::vec(0_usize..8, 0..200)) {
        let parts: [&[u8]; 8] = [
            &[0x75, 0xf0], &[0x74, 0x10], &[0x48, 0x8b, 0x47, 0x30], &[0x48, 0x89, 0x06],
            &[0x48, 0x0f, 0x44, 0xc7], &[0x48, 0x83, 0xc0, 0x08], &[0x48, 0x83, 0xc7, 0x08], &[0xe8, 0, 0, 0, 0],
        ];
        let code: Vec<u8> = order.iter().flat_map(|part| parts[*part]).copied().collect();
        let _ = place(&code, 0);
    }
}
