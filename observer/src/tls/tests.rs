//! Real libraries and programs of this machine, as far as they are there.

use super::*;
use crate::skip::skipped;

/// Says what an environment variable names, for looking at files that a machine has: `cargo test tls::tests::named -- --nocapture`.
#[test]
fn named() {
    let Some(names) = std::env::var_os("OBSERVER_TLS_FILES") else {
        return skipped("tls::tests::named", "OBSERVER_TLS_FILES names no files");
    };
    for path in std::env::split_paths(&names) {
        let started = std::time::Instant::now();
        let verdicts = examine(&path).unwrap();
        println!("{} {:?}: {verdicts:#?}", path.display(), started.elapsed());
    }
}

/// The scan of this machine, in numbers. Other programs start and end meanwhile.
#[test]
fn all_processes() {
    let mut scout = Scout::new();
    let started = std::time::Instant::now();
    let targets = scout.scan();
    println!(
        "{} files, {} targets in {:?}",
        scout.judged().count(),
        targets.len(),
        started.elapsed()
    );
    let started = std::time::Instant::now();
    let more = scout.scan();
    println!("again in {:?}", started.elapsed());
    let again = more
        .iter()
        .find(|target| targets.iter().any(|known| known.file == target.file));
    assert!(again.is_none(), "each target once: {again:?}");
    let own = std::env::current_exe().unwrap();
    let maps = maps::read(File::open("/proc/self/maps").unwrap()).unwrap();
    let own = maps.iter().find(|mapping| mapping.path == own).unwrap();
    assert!(scout.knows(own.file), "{own:?}");
}
