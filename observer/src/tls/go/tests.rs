//! Go programs made by hand, whole, wrong and damaged; real ones are in the live tests.

use std::path::Path;

use object::elf;
use proptest::prelude::*;

use super::NAMES;
use crate::tls::judge::judge;
use crate::tls::made::{self, ADDRESS, CODE, Part};
use crate::tls::{Act, Library, Point, Reason};

mod copy;

/// `cmp rsp, [r14+16]`, `jbe`, `nop`, `ret`, and filled up.
const FUNCTION: [u8; 16] = [
    0x49, 0x3b, 0x66, 0x10, 0x76, 0x02, 0x90, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
];
/// Behind the check, and at the return.
const BEHIND: u64 = 6;
const RETURN: u64 = 7;
/// Of Go 1.20 and newer.
const MAGIC: u32 = 0xffff_fff1;

/// A function: its name and code.
type Function = (&'static str, Vec<u8>);

/// Where the tables of a program say what its functions are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    InGo,
    /// As a C linker may leave it.
    InSymbols,
}

/// A program with these functions, one after the other, and without symbols.
fn program(names: &[&'static str]) -> Vec<u8> {
    let functions: Vec<Function> = names.iter().map(|name| (*name, FUNCTION.to_vec())).collect();
    linked(&functions, Said::InGo)
}

fn linked(functions: &[Function], said: Said) -> Vec<u8> {
    let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
    info.resize(32, 0);
    info.extend(b"\x06go1.22\x00");
    let part = |name, kind, link, content| Part {
        name,
        kind,
        address: 0,
        link,
        content,
    };
    let mut parts = vec![part(".go.buildinfo", elf::SHT_PROGBITS, 0, info)];
    if said == Said::InGo {
        parts.push(part(".gopclntab", elf::SHT_PROGBITS, 0, table(functions)));
    } else {
        let (symbols, names) = symbols(functions);
        parts.push(part(".symtab", elf::SHT_SYMTAB, 3, symbols));
        parts.push(part(".strtab", elf::SHT_STRTAB, 0, names));
    }
    let code: Vec<u8> = functions
        .iter()
        .flat_map(|(_, code)| code.iter().copied())
        .collect();
    made::file(&code, &parts)
}

/// Where each begins, and where the last one ends, from the first on.
fn starts(functions: &[Function]) -> Vec<u32> {
    let mut starts = vec![0];
    for (_, code) in functions {
        starts.push(starts[starts.len() - 1] + code.len() as u32);
    }
    starts
}

/// Head, names, entries, and behind them what the entries point at.
fn table(functions: &[Function]) -> Vec<u8> {
    let mut texts = Vec::new();
    let mut offsets = Vec::new();
    for (name, _) in functions {
        offsets.push(texts.len() as u32);
        texts.extend(name.bytes());
        texts.push(0);
    }
    texts.resize(texts.len().next_multiple_of(8), 0);
    let (head, count) = (72, functions.len() as u32);
    let mut table = MAGIC.to_le_bytes().to_vec();
    table.extend([0, 0, 1, 8]);
    let entries = head + texts.len() as u64;
    for word in [u64::from(count), 0, ADDRESS, head, 0, 0, 0, entries] {
        table.extend(word.to_le_bytes());
    }
    table.extend(texts);
    let bodies = count * 8 + 4;
    let starts = starts(functions);
    for (index, start) in (0..count).zip(&starts) {
        table.extend([*start, bodies + index * 8].map(u32::to_le_bytes).as_flattened());
    }
    table.extend(starts[functions.len()].to_le_bytes());
    for (start, name) in starts.iter().zip(offsets) {
        table.extend([*start, name].map(u32::to_le_bytes).as_flattened());
    }
    table
}

/// Symbols and their names.
fn symbols(functions: &[Function]) -> (Vec<u8>, Vec<u8>) {
    let (mut symbols, mut names) = (vec![0; 24], vec![0]);
    for ((name, code), start) in functions.iter().zip(starts(functions)) {
        symbols.extend((names.len() as u32).to_le_bytes());
        symbols.extend([elf::STT_FUNC, 0, 1, 0]);
        symbols.extend(
            [ADDRESS + u64::from(start), code.len() as u64]
                .map(u64::to_le_bytes)
                .as_flattened(),
        );
        names.extend(name.bytes());
        names.push(0);
    }
    (symbols, names)
}

fn all() -> Vec<&'static str> {
    NAMES.map(|(name, _)| name).to_vec()
}

fn reason(file: &[u8]) -> Option<Reason> {
    judge(file, Path::new("server")).into_iter().find_map(Result::err)
}

#[test]
fn where_it_is_probed() {
    let mut names = vec!["main.main"];
    names.extend(all());
    let found = judge(program(&names).as_slice(), Path::new("server"))
        .remove(0)
        .unwrap();
    assert_eq!(
        (found.library, found.version.as_deref()),
        (Library::Go, Some("go1.22"))
    );
    let mut expected: Vec<Point> = (1..)
        .zip(NAMES)
        .map(|(index, (_, act))| Point {
            act,
            offset: CODE + 16 * index + BEHIND,
        })
        .collect();
    let read = expected
        .iter()
        .position(|point| point.act == Act::GoRead)
        .unwrap();
    let end = Point {
        act: Act::GoReadEnd,
        offset: expected[read].offset - BEHIND + RETURN,
    };
    expected.insert(read + 1, end);
    assert_eq!(found.points, expected);
}

#[test]
fn never_guessed() {
    assert_eq!(judge(program(&["main.main"]).as_slice(), Path::new("server")), []);
    let twice = [all(), vec![NAMES[2].0]].concat();
    assert_eq!(reason(&program(&twice)), Some(Reason::Ambiguous(NAMES[2].0)));
    let without_close = &all()[..4];
    assert_eq!(
        reason(&program(without_close)),
        Some(Reason::Incomplete(NAMES[4].0))
    );
    let mut unchecked = program(&all());
    // The first function does not look at its stack.
    unchecked[usize::try_from(CODE).unwrap()] = 0x90;
    assert_eq!(reason(&unchecked), Some(Reason::NotGo(NAMES[0].0)));
}

#[test]
fn cut_anywhere() {
    let whole = program(&all());
    for end in 0..whole.len() {
        if !(120..0x2000).contains(&end) {
            let _ = judge(&whole[..end], Path::new(""));
        }
    }
}

proptest! {
    /// Numbers where they matter, the extreme ones among them, in a program that is otherwise whole: nothing panics, and what is
    /// found lies inside of the code.
    #[test]
    fn changed_anywhere(
        changes in proptest::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![any::<u64>(), 0_u64..0x3000, (0_u64..64).prop_map(|less| u64::MAX - less)], 1_usize..=8),
            1..6,
        ),
    ) {
        let mut file = program(&all());
        let places: Vec<usize> = (64..120).chain(0x1000..0x1060).chain(0x2000..file.len() - 8).collect();
        for (index, number, width) in changes {
            let at = *index.get(&places);
            file[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
        }
        for found in judge(file.as_slice(), Path::new("server")).into_iter().flatten() {
            prop_assert!(found.points.iter().all(|point| point.offset < file.len() as u64), "{found:?}");
        }
    }
}
