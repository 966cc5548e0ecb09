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

/// The scan of this machine, in numbers.
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
    for target in &targets {
        println!(
            "{:?} {} {:?} {}",
            target.library,
            target.shown.display(),
            target.random,
            target.points.len()
        );
    }
    for judged in scout.judged() {
        for reason in judged
            .verdicts
            .iter()
            .filter_map(|verdict| verdict.as_ref().err())
        {
            println!("{} {}: {reason}", judged.processes, judged.shown.display());
        }
    }
    let started = std::time::Instant::now();
    assert!(scout.scan().is_empty(), "each target once");
    println!("again in {:?}", started.elapsed());
    let own = std::env::current_exe().unwrap();
    assert!(
        scout
            .judged()
            .any(|judged| judged.shown == own || judged.shown == PathBuf::new())
    );
}
