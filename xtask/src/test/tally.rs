//! Counts of tests, read from what cargo's test runs print while it is shown.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process::shown;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl Tally {
    /// Reads a closing line of libtest's. A test that is ignored has been skipped.
    fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| {
            counts
                .split("; ")
                .find_map(|part| part.strip_suffix(word)?.trim().parse::<usize>().ok())
        };
        Some(Self {
            passed: count(" passed")?,
            failed: count(" failed")?,
            skipped: count(" ignored")?,
        })
    }

    /// Moves tests that announced a skip from the passed, where libtest counted them.
    pub fn skip(&mut self, count: usize) {
        self.passed = self.passed.saturating_sub(count);
        self.skipped += count;
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        let Self {
            passed,
            failed,
            skipped,
        } = other;
        self.passed += passed;
        self.failed += failed;
        self.skipped += skipped;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Runs tests, shows what they print, and sums what they say. A run that fails without a failed test (it did not
/// compile, or died) counts as one failure, named `what`.
pub fn run(what: &str, command: &mut Command) -> Result<Tally> {
    println!("{what}: {}", shown(command));
    let start = || format!("`{}` could not be started", shown(command));
    let start = start();
    let mut child = command.stdout(Stdio::piped()).spawn().context(start)?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if let Some(counted) = Tally::parse(&line) {
                tally += counted;
            }
        }
    }
    if !child.wait()?.success() && tally.failed == 0 {
        println!("{what}: the run itself failed");
        tally.failed = 1;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(usize, usize, usize)>) {
        let expected = expected.map(|(passed, failed, skipped)| Tally {
            passed,
            failed,
            skipped,
        });
        assert_eq!(Tally::parse(line), expected, "{line}");
    }

    #[test]
    fn closing_lines() {
        check(
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s",
            Some((12, 0, 0)),
        );
        check(
            "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 7 filtered out; finished in 1.00s",
            Some((3, 2, 1)),
        );
    }

    #[test]
    fn other_lines() {
        check("test record::sizes ... ok", None);
        check("running 3 tests", None);
        check("test result: what", None);
        check("", None);
    }

    #[test]
    fn the_last_line() {
        let mut tally = Tally {
            passed: 5,
            failed: 1,
            skipped: 1,
        };
        tally.skip(2);
        assert_eq!(tally.to_string(), "3 passed, 1 failed, 3 skipped");
    }

    #[test]
    fn a_run_is_summed() {
        let script = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured'; \
                      echo 'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured'";
        let tally = run("sample", Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(
            tally,
            Tally {
                passed: 5,
                failed: 0,
                skipped: 1
            }
        );
    }

    #[test]
    fn a_run_that_dies_is_a_failure() {
        let tally = run("sample", Command::new("sh").args(["-c", "exit 101"])).unwrap();
        assert_eq!(
            tally,
            Tally {
                failed: 1,
                ..Tally::default()
            }
        );
    }
}
