//! What is to be probed, found in real programs and libraries. Nothing is probed here, and no kernel program is needed.
#![cfg(target_arch = "x86_64")]
#![expect(clippy::unwrap_used, reason = "the functions below are parts of tests")]

use std::fs;
use std::path::Path;

use observer::tls::{Act, Found, Library, examine};
use tests::prerequisite::or_skip;
use tests::workload::tls::{RELEASES, go_programs, node};

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
    const RET: u8 = 0xc3;
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
        for act in [Act::GoRead, Act::GoWrite, Act::GoClose] {
            assert_eq!(count(found, act), 1, "{name}: {found:?}");
        }
        let code = fs::read(program).unwrap();
        for point in found.points.iter().filter(|point| point.act == Act::GoReadEnd) {
            assert_eq!(
                code[usize::try_from(point.offset).unwrap()],
                RET,
                "{name}: {point:?}"
            );
        }
    }
    let [plain, stripped, independent] = all;
    // Symbols and the table of functions say the same.
    assert_eq!(plain.points, stripped.points);
    assert_eq!(count(&plain, Act::GoReadEnd), count(&independent, Act::GoReadEnd));
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
