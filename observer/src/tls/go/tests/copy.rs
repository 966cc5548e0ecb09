//! Where `Read` copies what it has read, in functions made by hand.

use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;

use super::super::copy::{call, called};
use super::super::{NAMES, READ};
use super::{FUNCTION, Function, Said, linked, starts};
use crate::tls::judge::judge;
use crate::tls::made::{ADDRESS, CODE};
use crate::tls::{Act, Point};

/// Part of a function.
#[derive(Clone, Copy)]
enum Piece {
    Code(&'static [u8]),
    Call(&'static str),
}
use Piece::{Call, Code};

/// `cmp rsp, [r14+16]`, and `jbe` behind everything.
const CHECK: Piece = Code(&[0x49, 0x3b, 0x66, 0x10, 0x76, 0x70]);
/// `push rbp; mov rbp, rsp; sub rsp, 24`
const FRAME: Piece = Code(&[0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x18]);
/// `add rsp, 24; pop rbp; ret`
const RETURN: Piece = Code(&[0x48, 0x83, 0xc4, 0x18, 0x5d, 0xc3]);
/// `sub rsp, 32; mov [rsp+24], rbp; lea rbp, [rsp+24]`: the same frame as Go made it until 1.20.
const OLD_FRAME: Piece = Code(&[
    0x48, 0x83, 0xec, 0x20, 0x48, 0x89, 0x6c, 0x24, 0x18, 0x48, 0x8d, 0x6c, 0x24, 0x18,
]);
/// `mov rbp, [rsp+24]; add rsp, 32; ret`
const OLD_RETURN: Piece = Code(&[0x48, 0x8b, 0x6c, 0x24, 0x18, 0x48, 0x83, 0xc4, 0x20, 0xc3]);
/// `mov [rsp+40], rax`, and `mov [rsp+48], rbx`
const STORE: Piece = Code(&[0x48, 0x89, 0x44, 0x24, 0x28, 0x48, 0x89, 0x5c, 0x24, 0x30]);
/// `mov rax, [rsp+48]`
const BUFFER: Piece = Code(&[0x48, 0x8b, 0x44, 0x24, 0x30]);
const HANDSHAKE: Piece = Call(NAMES[0].0);
const COPY: Piece = Call("runtime.memmove");

const NEW: [Piece; 7] = [CHECK, FRAME, STORE, HANDSHAKE, BUFFER, COPY, RETURN];
const OLD: [Piece; 7] = [CHECK, OLD_FRAME, STORE, HANDSHAKE, BUFFER, COPY, OLD_RETURN];

/// One more piece, in front of that at `place`.
fn with(place: usize, piece: Piece) -> Vec<Piece> {
    let mut pieces = NEW.to_vec();
    pieces.insert(place, piece);
    pieces
}

/// The functions of a program whose `Read` is that.
fn functions(read: &[Piece]) -> Vec<Function> {
    let mut all: Vec<Function> = ["runtime.memmove", "bytes.(*Reader).Read"]
        .into_iter()
        .chain(
            NAMES
                .map(|(name, _)| name)
                .into_iter()
                .filter(|name| *name != READ),
        )
        .map(|name| (name, FUNCTION.to_vec()))
        .collect();
    let mut code = Vec::new();
    for piece in read {
        match piece {
            Code(bytes) => code.extend(*bytes),
            Call(name) => {
                // One without a place is called behind the end of everything.
                let place = all.iter().position(|(other, _)| other == name);
                let target = place.map_or(0x800, |place| starts(&all)[place]);
                let next = starts(&all)[all.len()] + code.len() as u32 + 5;
                code.push(0xe8);
                code.extend(target.wrapping_sub(next).to_le_bytes());
            }
        }
    }
    all.push((READ, code));
    all
}

/// Points in `Read`, from its beginning on.
fn points(read: &[Piece], said: Said) -> Vec<Point> {
    let functions = functions(read);
    let begins = CODE + u64::from(starts(&functions)[functions.len() - 1]);
    let file = linked(&functions, said);
    let verdicts = judge(file.as_slice(), Path::new("server"));
    let points = verdicts.into_iter().flatten().flat_map(|found| found.points);
    points
        .filter(|point| point.offset >= begins)
        .map(|point| Point {
            offset: point.offset - begins,
            ..point
        })
        .collect()
}

#[track_caller]
fn copied(read: &[Piece], offset: u64) {
    for said in [Said::InGo, Said::InSymbols] {
        let act = Act::GoReadCopy;
        assert_eq!(points(read, said), [Point { act, offset }]);
    }
}

/// It is probed as where nothing is known of it.
#[track_caller]
fn not_certain(read: &[Piece]) {
    let points = points(read, Said::InGo);
    let acts: Vec<Act> = points.iter().map(|point| point.act).collect();
    assert_eq!(acts, [Act::GoRead, Act::GoReadEnd]);
    assert_eq!(points[0].offset, super::BEHIND);
}

#[test]
fn both_frames() {
    copied(&NEW, 34);
    copied(&OLD, 40);
}

#[test]
fn what_may_stand_in_it() {
    // movq [rsp+16], xmm15; mov r13, 0; movb [rsp+8], 0; nop
    let cleared = [
        0x66, 0x44, 0x0f, 0xd6, 0x7c, 0x24, 0x10, 0x49, 0xc7, 0xc5, 0, 0, 0, 0, 0xc6, 0x44, 0x24, 8, 0, 0x90,
    ];
    let cleared: &'static [u8] = Vec::from(cleared).leak();
    copied(&with(2, Code(cleared)), 34 + 20);
    // mov rsi, [rsp+40]; cmp [rsp+40], 0; mov [rsp+16], rcx; call rax
    copied(
        &with(
            3,
            Code(&[
                0x48, 0x8b, 0x74, 0x24, 0x28, 0x48, 0x83, 0x7c, 0x24, 0x28, 0, 0x48, 0x89, 0x4c, 0x24, 0x10,
                0xff, 0xd0,
            ]),
        ),
        34 + 18,
    );
    // cmp rax, rbx; je behind the copy: it is there already.
    copied(&with(5, Code(&[0x48, 0x39, 0xd8, 0x74, 5])), 34 + 5);
    // Behind the return, where the stack is enlarged: mov [rsp+8], rax; mov rax, [rsp+8]; jmp to the beginning
    let enlarged = Code(&[0x48, 0x89, 0x44, 0x24, 8, 0x48, 0x8b, 0x44, 0x24, 8, 0xeb, 0xc7]);
    copied(&with(7, enlarged), 34);
}

/// 128 is added to the stack pointer where it is to be subtracted: Go takes the shorter instruction.
#[test]
fn a_frame_of_128_bytes() {
    // push rbp; mov rbp, rsp; add rsp, -128; mov [rbp+16], rax; mov rax, [rbp+24]; and sub rsp, -128; pop rbp; ret
    let read = [
        CHECK,
        Code(&[0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xc4, 0x80]),
        Code(&[0x48, 0x89, 0x45, 0x10, 0x48, 0x8b, 0x45, 0x18]),
        COPY,
        Code(&[0x48, 0x83, 0xec, 0x80, 0x5d, 0xc3]),
    ];
    copied(&read, 22);
}

#[test]
fn not_that_one_copy() {
    not_certain(&[&NEW[..5], &[RETURN]].concat());
    not_certain(&[&NEW[..6], &NEW[4..]].concat());
    not_certain(&with(6, Call("bytes.(*Reader).Read")));
    not_certain(&with(6, Call("one without a name")));
    // mov rax, rsi; lea rax, [rsp+48]; xor eax, eax; mov rax, [rsp+32]: to somewhere else.
    for target in [
        &[0x48, 0x89, 0xf0][..],
        &[0x48, 0x8d, 0x44, 0x24, 0x30],
        &[0x31, 0xc0],
        &[0x48, 0x8b, 0x44, 0x24, 0x20],
    ] {
        not_certain(&with(5, Code(target)));
    }
}

#[test]
fn no_receiver_in_its_place() {
    let without = |place: usize| {
        let mut pieces = NEW.to_vec();
        pieces.remove(place);
        pieces
    };
    not_certain(&without(2));
    // Stored when the first call is over, and mov rax, rcx in front of it.
    not_certain(&with(2, HANDSHAKE));
    not_certain(&with(2, Code(&[0x48, 0x89, 0xc8])));
    // mov [rsp+40], rcx; mov [rbp+16], rcx; movups [rsp+32], xmm15; mov [rsp+rcx*8], rax; xchg [rsp+40], rcx; inc byte [rsp+41]; and its
    // address in rdi: lea rdi, [rsp+40]
    for store in [
        &[0x48, 0x89, 0x4c, 0x24, 0x28][..],
        &[0x48, 0x89, 0x4d, 0x10],
        &[0x44, 0x0f, 0x11, 0x7c, 0x24, 0x20],
        &[0x48, 0x89, 0x04, 0xcc],
        &[0x48, 0x87, 0x4c, 0x24, 0x28],
        &[0xfe, 0x44, 0x24, 0x29],
        &[0x48, 0x8d, 0x7c, 0x24, 0x28],
    ] {
        not_certain(&with(3, Code(store)));
    }
    // jmp into the instruction that stores it; jmp rcx
    for jump in [&[0xeb, 0xf6][..], &[0xff, 0xe1]] {
        not_certain(&with(3, Code(jump)));
    }
}

#[test]
fn no_frame_pointer() {
    let mut pieces = NEW;
    // sub rsp, 32; and push rbp; sub rsp, 24
    for frame in [&[0x48, 0x83, 0xec, 0x20][..], &[0x55, 0x48, 0x83, 0xec, 0x18]] {
        pieces[1] = Code(frame);
        not_certain(&pieces);
    }
    // mov rbp, rcx; pop rcx; push rcx; sub rsp, 8; mov rsp, rcx; mov rbp, [rsp+16]
    for change in [
        &[0x48, 0x89, 0xcd][..],
        &[0x59],
        &[0x51],
        &[0x48, 0x83, 0xec, 8],
        &[0x48, 0x89, 0xcc],
        &[0x48, 0x8b, 0x6c, 0x24, 0x10],
    ] {
        not_certain(&with(3, Code(change)));
    }
}

/// A name for each that is called.
fn names(code: &[u8], address: u64, copies: impl Fn(u64) -> bool) -> HashMap<u64, Vec<u8>> {
    let name = |target| {
        let name: &[u8] = if copies(target) {
            b"runtime.memmove"
        } else {
            b"other"
        };
        (target, name.to_vec())
    };
    let called = called(code, address).unwrap_or_default();
    called.into_iter().map(name).collect()
}

proptest! {
    #[test]
    fn any_code(code: Vec<u8>, address: u64) {
        let offset = call(&code, address, &names(&code, address, |_| true));
        prop_assert!(offset.is_none_or(|offset| offset < code.len() as u64));
    }

    /// The same of code that begins as it should.
    #[test]
    fn changed_anywhere(
        old: bool,
        address in prop_oneof![Just(ADDRESS), any::<u64>()],
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let mut functions = functions(if old { &OLD } else { &NEW });
        // The first of them copies.
        let before = u64::from(starts(&functions)[functions.len() - 1]);
        let (_, mut code) = functions.pop().unwrap();
        let whole = changes.is_empty();
        for (index, byte) in changes {
            let at = index.index(code.len());
            code[at] = byte;
        }
        let names = names(&code, address, |target| target == address.wrapping_sub(before));
        let offset = call(&code, address, &names);
        prop_assert!(offset.is_some() || !whole);
        prop_assert!(offset.is_none_or(|offset| offset < code.len() as u64));
    }
}
