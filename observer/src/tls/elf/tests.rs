//! Files made by hand, whole, wrong and damaged; real ones are in `tls::tests`.

use super::*;
use crate::tls::judge::judge;
use crate::tls::made::{self, ADDRESS, CODE, Part};
use crate::tls::{Act, Library, Point};
use proptest::prelude::*;
use std::path::Path;

/// A file with one table of exported functions: names, numbers of a section (0: elsewhere), addresses.
fn file(functions: &[(&str, u16, u64)]) -> Vec<u8> {
    with_code(&[], functions)
}

fn with_code(code: &[u8], functions: &[(&str, u16, u64)]) -> Vec<u8> {
    let mut names = vec![0];
    let mut symbols = vec![0; 24];
    for (name, section, address) in functions {
        symbols.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
        symbols.extend([elf::STT_FUNC | elf::STB_GLOBAL << 4, 0]);
        symbols.extend(section.to_le_bytes());
        symbols.extend(address.to_le_bytes());
        symbols.extend(16_u64.to_le_bytes());
        names.extend(name.bytes());
        names.push(0);
    }
    let part = |name, kind, link, content| Part {
        name,
        kind,
        address: 0,
        link,
        content,
    };
    let tables = [
        part(".dynsym", elf::SHT_DYNSYM, 2, symbols),
        part(".dynstr", elf::SHT_STRTAB, 0, names),
    ];
    made::file(code, &tables)
}

const WHOLE: [(&str, u16, u64); 5] = [
    ("SSL_new", 1, ADDRESS),
    ("SSL_free", 1, ADDRESS + 0x10),
    ("SSL_read", 1, ADDRESS + 0x20),
    ("SSL_write", 1, ADDRESS + 0x30),
    ("SSL_write_ex", 1, ADDRESS + 0x40),
];

fn with(more: &[(&'static str, u16, u64)]) -> Vec<u8> {
    file(&[&WHOLE, more].concat())
}

#[track_caller]
fn check(file: &[u8], expected: &Result<Option<Library>, Reason>) {
    let verdicts = judge(file, Path::new("libssl.so.3"));
    let found = match verdicts.as_slice() {
        [] => Ok(None),
        [Ok(found)] => Ok(Some(found.library)),
        [Err(reason)] => Err(reason.clone()),
        more => panic!("{more:?}"),
    };
    assert_eq!(found, *expected);
}

#[test]
fn offsets_in_the_file() {
    let found = judge(with(&[]).as_slice(), Path::new("/usr/lib/libssl.so.3"))
        .remove(0)
        .unwrap();
    let point = |act, inside| Point {
        act,
        offset: CODE + inside,
    };
    let expected = [
        point(Act::Created, 0),
        point(Act::Freed, 0x10),
        point(Act::Read, 0x20),
        point(Act::Write, 0x30),
        point(Act::WriteEx, 0x40),
    ];
    assert_eq!(found.points, expected);
    assert_eq!(found.version.as_deref(), Some("3"));
    assert_eq!(found.random, None);
}

/// Both names of writing leave it to one function, which begins with a push; of reading there is one name.
#[cfg(target_arch = "x86_64")]
#[test]
fn one_function_for_both_names() {
    // sub rsp, 24; call 0x50; and sub rsp, 8; call 0x50.
    let plain = [0x48, 0x83, 0xec, 0x18, 0xe8, 0x17, 0, 0, 0];
    let extended = [0x48, 0x83, 0xec, 0x08, 0xe8, 0x07, 0, 0, 0];
    let mut code = [0xc3; 0x60];
    code[0x30..0x39].copy_from_slice(&plain);
    code[0x40..0x49].copy_from_slice(&extended);
    let points = |code: &[u8]| {
        let file = with_code(code, &WHOLE);
        let found = judge(file.as_slice(), Path::new("libssl.so.3"))
            .remove(0)
            .unwrap();
        let points = found
            .points
            .into_iter()
            .map(|point| (point.act, point.offset - CODE));
        points.skip(2).collect::<Vec<_>>()
    };
    let separate = [(Act::Read, 0x20), (Act::Write, 0x30), (Act::WriteEx, 0x40)];
    assert_eq!(points(&code), separate, "it is no cheaper itself");
    code[0x50] = 0x55;
    assert_eq!(points(&code), [(Act::Read, 0x20), (Act::WriteEx, 0x50)]);
    code[0x35] = 0x16;
    assert_eq!(points(&code), separate, "they call two");
    // endbr64 in front of a push.
    code[0x20..0x25].copy_from_slice(&[0xf3, 0x0f, 0x1e, 0xfa, 0x55]);
    assert_eq!(points(&code)[0], (Act::Read, 0x24));
}

#[test]
fn whose_it_is() {
    check(&with(&[]), &Ok(Some(Library::OpenSsl)));
    let boring = ("SSL_set_custom_verify", 1, ADDRESS + 0x50);
    check(&with(&[boring]), &Ok(Some(Library::BoringSsl)));
}

#[test]
fn what_uses_it_is_not_it() {
    let elsewhere = WHOLE.map(|(name, _, _)| (name, 0, 0));
    check(&file(&elsewhere), &Ok(None));
    check(
        &file(&[("XSSL_read", 1, ADDRESS), ("SSL_reader", 1, ADDRESS)]),
        &Ok(None),
    );
    check(&file(&[]), &Ok(None));
    check(b"#!/bin/sh\n", &Ok(None));
}

#[test]
fn never_guessed() {
    check(&file(&WHOLE[1..]), &Err(Reason::Incomplete("SSL_new")));
    check(
        &with(&[("SSL_read", 1, ADDRESS + 0x80)]),
        &Err(Reason::Ambiguous("SSL_read")),
    );
    check(
        &with(&[("SSL_clear", 1, ADDRESS + 0x1000)]),
        &Err(Reason::Damaged("a function outside of the code")),
    );
    check(
        &with(&[("SSL_clear", 1, 1)]),
        &Err(Reason::Damaged("a function outside of the code")),
    );
}

#[test]
fn other_machines() {
    let mut other = with(&[]);
    other[4] = elf::ELFCLASS32;
    check(&other, &Err(Reason::Foreign("not 64 bits, little-endian")));
    let mut other = with(&[]);
    other[18] = 8;
    check(&other, &Err(Reason::Foreign("another processor")));
}

#[test]
fn cut_anywhere() {
    let whole = with(&[]);
    for end in (0..whole.len()).step_by(3) {
        let _ = judge(&whole[..end], Path::new(""));
    }
}

proptest! {
    /// Bytes where it matters, in a file that is otherwise whole.
    #[test]
    fn changed_anywhere(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut file = with(&[("SSL_get_client_random", 1, ADDRESS + 0x60)]);
        let places: Vec<usize> = (0..120).chain(0x2000..file.len()).collect();
        for (index, byte) in changes {
            file[*index.get(&places)] = byte;
        }
        let _ = judge(file.as_slice(), Path::new("libssl.so.3"));
    }

    #[test]
    fn any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let magic = b"\x7fELF\x02\x01";
        if bytes.len() > 64 {
            bytes[..magic.len()].copy_from_slice(magic);
            bytes[18..20].copy_from_slice(&MACHINE.to_le_bytes());
        }
        let _ = judge(bytes.as_slice(), Path::new(""));
    }
}
