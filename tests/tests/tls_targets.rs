//! What is to be probed, found in real programs and libraries. Nothing is probed here, and no kernel program is needed.
#![cfg(target_arch = "x86_64")]
#![expect(clippy::unwrap_used, reason = "the functions below are parts of tests")]

use std::fs;
use std::path::Path;

use observer::tls::{Act, Found, Library, examine};
use tests::prerequisite::or_skip;
use tests::truth::proxy::Proxy;
use tests::workload::tls::{RELEASES, go_programs, node};
use tests::workload::wheel::{WHEELS, Wheel, grpcio_library};

/// The one library in a file.
#[track_caller]
fn found(path: &Path) -> Found {
    let mut verdicts = examine(path).unwrap();
    assert_eq!(verdicts.len(), 1, "{}: {verdicts:?}", path.display());
    verdicts.remove(0).unwrap()
}

fn count(found: &Found, act: Act) -> usize {
    found.points.iter().filter(|point| point.act == act).count()
}

#[test]
fn go_in_all_forms() {
    const CALL: u8 = 0xe8;
    let Some(programs) = or_skip("go_in_all_forms", go_programs()) else {
        return;
    };
    let all = programs.each_ref().map(|program| found(program));
    for (program, found) in programs.iter().zip(&all) {
        let name = program.display();
        assert_eq!(found.library, Library::Go, "{name}");
        assert!(
            found
                .version
                .as_ref()
                .is_some_and(|version| version.starts_with("go1.")),
            "{name}: {found:?}"
        );
        assert_eq!(count(found, Act::GoHandshake), 2, "{name}: {found:?}");
        for (act, times) in [
            (Act::GoReadCopy, 1),
            (Act::GoWrite, 1),
            (Act::GoClose, 1),
            // In place of these.
            (Act::GoRead, 0),
            (Act::GoReadEnd, 0),
        ] {
            assert_eq!(count(found, act), times, "{name}: {found:?}");
        }
        let code = fs::read(program).unwrap();
        let mut copies = found.points.iter().filter(|point| point.act == Act::GoReadCopy);
        let copy = copies.next().unwrap();
        assert_eq!(
            code[usize::try_from(copy.offset).unwrap()],
            CALL,
            "{name}: {copy:?}"
        );
    }
    let [plain, stripped, _] = all;
    // Symbols and the table of functions say the same.
    assert_eq!(plain.points, stripped.points);
}

#[test]
fn openssl_of_other_releases() {
    // Functions for writing that are probed beside the one that does the work.
    for (release, separate) in RELEASES.into_iter().zip([0, 1]) {
        let test = "openssl_of_other_releases";
        let Some(library) = or_skip(test, release.library()) else {
            return;
        };
        let found = found(&library);
        assert_eq!(found.library, Library::OpenSsl, "{release:?}");
        for act in [Act::Created, Act::Freed, Act::Cleared, Act::ReadEx, Act::WriteEx] {
            assert_eq!(count(&found, act), 1, "{release:?}: {found:?}");
        }
        // Where both names leave their work to one function, that one is probed. That of writing has one argument more since 3.2.
        assert_eq!(count(&found, Act::Read), 0, "{release:?}: {found:?}");
        assert_eq!(count(&found, Act::Write), separate, "{release:?}: {found:?}");
        let random = found.random.unwrap();
        let Some(same) = or_skip(test, release.has_random_at(random.pointer, random.offset)) else {
            return;
        };
        assert!(same, "{release:?}: {random:?}");
    }
}

#[test]
fn openssl_inside_of_node() {
    let Some(node) = or_skip("openssl_inside_of_node", node()) else {
        return;
    };
    let found = found(&node);
    assert_eq!(found.library, Library::OpenSsl);
    assert_eq!(found.points.len(), 7, "{found:?}");
    assert!(found.random.is_some(), "{found:?}");
}

/// gRPC's wheels of six years, and Envoy.
#[test]
fn boring_ssl_without_names() {
    let test = "boring_ssl_without_names";
    let wheels = WHEELS.into_iter().map(Wheel::library);
    let others = [grpcio_library(), Proxy::Envoy.program()];
    for library in wheels.chain(others) {
        let Some(library) = or_skip(test, library) else {
            return;
        };
        let found = found(&library);
        let name = library.display();
        assert_eq!(found.library, Library::BoringSsl, "{name}");
        for act in [Act::Created, Act::Freed, Act::Read, Act::Write] {
            assert_eq!(count(&found, act), 1, "{name}: {found:?}");
        }
        assert!(found.random.is_some(), "{name}: {found:?}");
    }
}

/// The oldest wheel has its names: without them the same is found.
#[test]
fn names_of_boring_ssl_agree_with_its_shape() {
    let [named, ..] = WHEELS;
    let Some(library) = or_skip("names_of_boring_ssl_agree_with_its_shape", named.library()) else {
        return;
    };
    let mut file = fs::read(&library).unwrap();
    let by_name = found(&library);
    without_names(&mut file);
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("cygrpc.so");
    fs::write(&stripped, file).unwrap();
    let by_shape = found(&stripped);
    let place = |found: &Found, act| {
        let mut points = found.points.iter().filter(|point| point.act == act);
        points.next().map(|point| point.offset)
    };
    // Objects end in what `SSL_free` calls; that an object is used again cannot be told without its name.
    assert_eq!(
        (count(&by_name, Act::Cleared), count(&by_shape, Act::Cleared)),
        (1, 0)
    );
    for act in [Act::Created, Act::Read, Act::Write] {
        assert!(place(&by_name, act).is_some(), "{act:?} {by_name:?}");
        assert_eq!(place(&by_name, act), place(&by_shape, act), "{act:?}");
    }
    assert_eq!(by_name.random, by_shape.random);
}

/// Makes the table of symbols something else.
fn without_names(file: &mut [u8]) {
    const SYMBOLS: u32 = 2;
    const OTHER: u32 = 1;
    const HEADER: usize = 64;
    let number = |at: usize| usize::from(u16::from_le_bytes([file[at], file[at + 1]]));
    let headers = usize::try_from(u64::from_le_bytes(file[40..48].try_into().unwrap())).unwrap();
    let count = number(60);
    for header in (0..count).map(|section| headers + section * HEADER) {
        let kind = &mut file[header + 4..header + 8];
        if kind == SYMBOLS.to_le_bytes() {
            kind.copy_from_slice(&OTHER.to_le_bytes());
        }
    }
}
