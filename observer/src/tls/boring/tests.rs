//! Programs made by hand: functions of the shape that compilers give them, and what is to be believed of none.

use std::path::Path;

use object::elf;
use proptest::prelude::*;

use super::*;
use crate::tls::judge::judge;
use crate::tls::made::{self, ADDRESS, CODE, Part};

const DATA: u64 = ADDRESS + 0x10_0000;
const TABLE: u64 = ADDRESS + 0x20_0000;
/// `third_party` and so on, behind another text.
const SOURCE_AT: u64 = DATA + 6;
const TEXT: &[u8] = b"other\0third_party/ssl/ssl_lib.cc\0";

/// Code, function after function.
struct Code {
    bytes: Vec<u8>,
    starts: Vec<u64>,
}

impl Code {
    /// The function that keeps mistakes, which all others call.
    fn new() -> Self {
        let mut code = Self {
            bytes: Vec::new(),
            starts: Vec::new(),
        };
        code.function(&[0xc3]);
        code
    }

    fn here(&self) -> u64 {
        ADDRESS + self.bytes.len() as u64
    }

    /// Begins one; gives its address.
    fn function(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0x90);
        self.starts.push(self.here());
        self.bytes.extend(bytes);
        ADDRESS + (self.bytes.len() - bytes.len()) as u64
    }

    fn add(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    fn distance(&self, to: u64, length: u64) -> [u8; 4] {
        let distance = to.cast_signed() - (self.here() + length).cast_signed();
        i32::try_from(distance).unwrap().to_le_bytes()
    }

    fn call(&mut self, target: u64) -> &mut Self {
        let distance = self.distance(target, 5);
        self.add(&[0xe8]).add(&distance)
    }

    /// mov edx, mistake; lea rcx, [source]; call
    fn mistake(&mut self, number: u32) -> &mut Self {
        self.add(&[0xba]).add(&number.to_le_bytes());
        let distance = self.distance(SOURCE_AT, 7);
        self.add(&[0x48, 0x8d, 0x0d]).add(&distance);
        self.call(ADDRESS)
    }

    fn file(&mut self) -> Vec<u8> {
        self.file_with(TEXT)
    }

    fn file_with(&mut self, text: &[u8]) -> Vec<u8> {
        // The last function has no end otherwise.
        self.function(&[0xc3]);
        let part = |name, address, content| Part {
            name,
            kind: elf::SHT_PROGBITS,
            address,
            link: 0,
            content,
        };
        let count = u32::try_from(self.starts.len()).unwrap();
        let mut table = [[1, 0x1b, 3, 0x3b], [0; 4], count.to_le_bytes()].concat();
        for start in &self.starts {
            let relative = i32::try_from(start.cast_signed() - TABLE.cast_signed()).unwrap();
            table.extend([relative.to_le_bytes(), [0; 4]].as_flattened());
        }
        let parts = [
            part(".text", ADDRESS, self.bytes.clone()),
            part(".rodata", DATA, text.to_vec()),
            part(".eh_frame_hdr", TABLE, table),
        ];
        made::file(&self.bytes, &parts)
    }
}

/// What a program has otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    Nothing,
    SecondWrite,
    VagueWrite,
    ReadingStoresNothing,
    PeekStores,
    NoFreeing,
}

/// The whole library, and the addresses of what is to be probed: new, free, write, read.
fn library(odd: Odd) -> (Code, [u64; 4]) {
    let mut code = Code::new();
    // free_memory
    let memory = code.function(&[0xc3]);
    // push rbx; mov rbx, rdi; mov rax, [rbx]; test rax, rax; mov rdi, rbx; call [rax + 16]
    let end: &[u8] = &[
        0x53, 0x48, 0x89, 0xfb, 0x48, 0x8b, 0x03, 0x48, 0x85, 0xc0, 0x48, 0x89, 0xdf, 0xff, 0x50, 0x10,
    ];
    let end = if odd == Odd::NoFreeing { &end[..13] } else { end };
    let free = code.function(end);
    code.add(&[0x5b, 0xc3]);
    // push rbx; mov rax, [rbx]; call [rax + 8]; mov rdi, rbx; call …; mov rdi, rbx; xor ebx, ebx; call …
    let new = code.function(&[0x53]);
    code.mistake(mistake::NULL_SSL_CTX);
    code.add(&[0x48, 0x8b, 0x03, 0xff, 0x50, 0x08, 0x48, 0x89, 0xdf]);
    code.call(free).add(&[0x48, 0x89, 0xdf, 0x31, 0xdb]).call(memory);
    code.add(&[0x5b, 0xc3]);
    // endbr64; push rbx
    let write = code.function(&[0xf3, 0x0f, 0x1e, 0xfa, 0x53]);
    writes(&mut code, odd == Odd::VagueWrite);
    if odd == Odd::SecondWrite {
        code.function(&[0x53]);
        writes(&mut code, false);
    }
    let getting = code.function(&[0x53]);
    code.mistake(mistake::UNINITIALIZED)
        .mistake(mistake::SSL_HANDSHAKE_FAILURE)
        .add(&[0x5b, 0xc3]);
    // SSL_peek; mov [rsp], rax; mov [rax + 8], rdx
    code.function(&[0x53]);
    code.mistake(mistake::UNCALLED)
        .call(getting)
        .add(&[0x48, 0x89, 0x04, 0x24]);
    if odd == Odd::PeekStores {
        code.add(&[0x48, 0x89, 0x50, 0x08]);
    }
    code.add(&[0x5b, 0xc3]);
    // push rbp; mov rbp, rsp; mov [rbp - 8], rax; add [rax + 8], rdx
    let read = code.function(&[0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0x45, 0xf8]);
    code.mistake(mistake::UNCALLED).call(getting);
    if odd != Odd::ReadingStoresNothing {
        code.add(&[0x48, 0x01, 0x50, 0x08]);
    }
    code.add(&[0x5d, 0xc3]);
    // Reports a mistake of its own.
    code.function(&[0x53]);
    code.mistake(7).add(&[0x5b, 0xc3]);
    (code, [new, free, write + 4, read])
}

fn writes(code: &mut Code, vague: bool) {
    for number in [
        mistake::UNCALLED,
        mistake::UNINITIALIZED,
        mistake::SSL_HANDSHAKE_FAILURE,
        mistake::BAD_LENGTH,
    ] {
        code.mistake(number);
    }
    if vague {
        // mov edx, eax in front of it
        code.add(&[0x89, 0xc2]);
        let distance = code.distance(SOURCE_AT, 7);
        code.add(&[0x48, 0x8d, 0x0d]).add(&distance).call(ADDRESS);
    }
    code.add(&[0x5b, 0xc3]);
}

fn verdict(file: &[u8]) -> Result<Found, Reason> {
    let mut verdicts = judge(file, Path::new("cygrpc.so"));
    assert_eq!(verdicts.len(), 1, "{verdicts:?}");
    verdicts.remove(0)
}

#[test]
fn told_by_what_they_do() {
    let (mut code, expected) = library(Odd::Nothing);
    let found = verdict(&code.file()).unwrap();
    let acts = [Act::Created, Act::Freed, Act::Write, Act::Read];
    let points = acts.into_iter().zip(expected).map(|(act, address)| Point {
        act,
        offset: address - ADDRESS + CODE,
    });
    assert_eq!(found.points, points.collect::<Vec<_>>());
    assert_eq!((found.library, found.random), (Library::BoringSsl, Some(RANDOM)));
}

#[test]
fn what_is_not_certain_is_left_alone() {
    let odd = [
        (Odd::SecondWrite, "SSL_write"),
        (Odd::VagueWrite, "SSL_write"),
        (Odd::ReadingStoresNothing, "SSL_read"),
        (Odd::PeekStores, "SSL_read"),
        (Odd::NoFreeing, "SSL_free"),
    ];
    for (odd, missing) in odd {
        let (mut code, _) = library(odd);
        assert_eq!(verdict(&code.file()), Err(Reason::StrippedBoringSsl(missing)));
    }
}

#[test]
fn two_copies_are_not_told_apart() {
    let (mut code, _) = library(Odd::Nothing);
    let twice = [TEXT, b"another/ssl/ssl_lib.cc\0"].concat();
    assert_eq!(
        verdict(&code.file_with(&twice)),
        Err(uncertain("it is there more than once"))
    );
}

/// What names the file by another text than the whole one is something else.
#[test]
fn a_name_that_nothing_refers_to() {
    let (mut code, _) = library(Odd::Nothing);
    let text = [b"longer", &TEXT[6..]].concat();
    assert_eq!(verdict(&code.file_with(&text)), Err(uncertain("SSL_new")));
}

#[test]
fn without_the_library() {
    let mut code = Code::new();
    let mut file = code.file();
    let at = file.windows(4).position(|here| here == b"/ssl").unwrap();
    file[at + 1] = b'x';
    assert_eq!(judge(file.as_slice(), Path::new("program")), Vec::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is damaged: nothing panics, and what is found lies inside of the code.
    #[test]
    fn damaged(places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let (mut code, _) = library(Odd::Nothing);
        let mut file = code.file();
        for (place, byte) in places {
            let place = place.index(file.len());
            file[place] = byte;
        }
        for found in judge(file.as_slice(), Path::new("program")).into_iter().flatten() {
            for point in found.points {
                prop_assert!(point.offset < file.len() as u64);
            }
        }
    }

    #[test]
    fn any_code(bytes: Vec<u8>, address: u64, source: u64) {
        let _ = Routine::read(&bytes, address, source);
    }
}
