//! Counts of tests, read from what cargo's test runs print while it is shown.

use std::io::{Read as _, Write as _};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result};

use super::watchdog;
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
/// compile, or died) counts as one failure, named `what`; so does a program that was silent for longer than `silence`.
pub fn run(what: &str, command: &mut Command, silence: Duration) -> Result<Tally> {
    println!("{what}: {}", shown(command));
    let start = || format!("`{}` could not be started", shown(command));
    let start = start();
    let mut child = command.stdout(Stdio::piped()).spawn().context(start)?;
    let pid = child.id();
    let mut tally = Tally::default();
    let output = child.stdout.take().map(pieces).context("no standard output")?;
    let mut line = Vec::new();
    loop {
        match output.recv_timeout(silence) {
            Ok(piece) => tally += show(&piece, &mut line)?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                line.clear();
                for test in watchdog::end_tests_of(pid) {
                    println!(
                        "\n{what}: killed after {silence:?} without a word, in the test named last: {test}"
                    );
                    tally.failed += 1;
                }
            }
        }
    }
    if !child.wait()?.success() && tally.failed == 0 {
        println!("{what}: the run itself failed");
        tally.failed = 1;
    }
    Ok(tally)
}

/// What is read, as it comes and cut behind words: the name of a test is there before its result.
fn pieces(mut output: ChildStdout) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let (mut buffer, mut held) = ([0; 4096], Vec::new());
        while let Ok(read @ 1..) = output.read(&mut buffer) {
            held.extend_from_slice(&buffer[..read]);
            let last = held.iter().rposition(u8::is_ascii_whitespace);
            let rest = held.split_off(last.map_or(0, |at| at + 1));
            if sender.send(std::mem::replace(&mut held, rest)).is_err() {
                return;
            }
        }
        // Nobody listens to a word without an end if nobody listened before.
        let _ = sender.send(held);
    });
    receiver
}

/// Prints a piece; counts what the lines say that end in it.
fn show(piece: &[u8], line: &mut Vec<u8>) -> Result<Tally> {
    print!("{}", String::from_utf8_lossy(piece));
    std::io::stdout().flush()?;
    let mut tally = Tally::default();
    for byte in piece {
        if *byte != b'\n' {
            line.push(*byte);
            continue;
        }
        if let Some(counted) = Tally::parse(&String::from_utf8_lossy(line)) {
            tally += counted;
        }
        line.clear();
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::watchdog::MAX_SILENCE;

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
        let tally = run("sample", Command::new("sh").args(["-c", script]), MAX_SILENCE).unwrap();
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
        let tally = run("sample", Command::new("sh").args(["-c", "exit 101"]), MAX_SILENCE).unwrap();
        assert_eq!(
            tally,
            Tally {
                failed: 1,
                ..Tally::default()
            }
        );
    }

    /// A cargo that runs one test after the other, of which the first waits for ever.
    #[test]
    fn a_silent_test_is_ended_and_the_next_one_runs() {
        let folder = std::env::temp_dir().join(format!("observer-watchdog-{}", std::process::id()));
        let deps = folder.join("deps");
        std::fs::create_dir_all(&deps).unwrap();
        let test = deps.join("silent-1234");
        std::os::unix::fs::symlink(crate::process::which("cat").unwrap(), &test).unwrap();
        let script = format!(
            "mkfifo {0}/never; printf 'test waits ... '; {1} {0}/never; \
             echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured'; exit 101",
            folder.display(),
            test.display()
        );
        let mut command = Command::new("sh");
        let tally = run(
            "sample",
            command.args(["-c", &script]),
            Duration::from_millis(200),
        )
        .unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!((tally.passed, tally.failed), (2, 1));
    }
}
