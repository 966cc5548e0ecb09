//! How a test says that this machine cannot run it. Returning early alone would count as passed.

use std::io::Write;

/// Announces that `test` checks nothing here, and why; the test then returns. `cargo xtask test` takes it from the
/// passed tests, prints the reason and counts it as skipped.
///
/// `test` is the test's own name, unique in this workspace: a test that calls this twice is one skipped test.
/// The announcement goes to the file that `OBSERVER_SKIPPED` names, because libtest hides what a passing test
/// prints; without that variable (plain `cargo test`) it is only printed.
///
/// # Panics
/// When the announcement cannot be written: a skip that nobody hears of would pass for a success.
pub fn skipped(test: &str, reason: &str) {
    println!("SKIPPED {test}: {reason}");
    let Some(file) = std::env::var_os("OBSERVER_SKIPPED") else {
        return;
    };
    let line = format!("{}\t{}\n", one_line(test), one_line(reason));
    let written = std::fs::OpenOptions::new().append(true).create(true).open(&file);
    // One write of one line: tests of several processes append to the same file.
    let written = written.and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(written.is_ok(), "{}: {written:?}", file.display());
}

fn one_line(text: &str) -> String {
    text.replace(['\t', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stay_on_their_line() {
        assert_eq!(one_line("no qemu:\n\tnot installed"), "no qemu:  not installed");
    }
}
