//! What a test needs of the machine: programs and packages, got where that is possible, named where it is not.

use std::process::Command;
use std::time::Duration;

use crate::process::limited::{self, Ended};
use crate::skip::skipped;

pub mod apt;

/// Longest step of getting or building something: a mirror that has stopped to answer is not waited for. Shorter than the
/// silence after which `cargo xtask test` ends the whole test program.
const MAX_STEP: Duration = Duration::from_mins(8);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine lacks something; whoever needs it is skipped with this reason.
    #[error("{0}")]
    Missing(String),
    /// Something of ours does not work.
    #[error("{0}")]
    Broken(String),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// The result, unless something is missing: then the test is announced as skipped and has to return.
///
/// # Panics
/// When something of ours does not work.
#[track_caller]
#[expect(clippy::panic, reason = "an assertion for tests")]
pub fn or_skip<T>(test: &str, result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::Missing(reason)) => {
            skipped(test, &reason);
            None
        }
        Err(Error::Broken(reason)) => panic!("{reason}"),
    }
}

/// A step of getting something: its failure means that the machine cannot have it now.
pub fn get(command: &mut Command) -> Result<String, Error> {
    run(command).map_err(Error::Missing)
}

/// A step of building something of ours: its failure is a fault.
pub fn build(command: &mut Command) -> Result<String, Error> {
    run(command).map_err(Error::Broken)
}

fn run(command: &mut Command) -> Result<String, String> {
    run_within(MAX_STEP, command)
}

/// The command is spent with it. A step that is late is ended with everything that it started.
fn run_within(limit: Duration, command: &mut Command) -> Result<String, String> {
    let name = std::iter::once(command.get_program()).chain(command.get_args());
    let name = name
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let ended = limited::output(std::mem::replace(command, Command::new("true")), limit);
    let Ended {
        status,
        output,
        errors,
    } = ended.map_err(|error| format!("{name}: {error}"))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&output).into_owned());
    }
    let text = [output, errors].concat();
    let text = String::from_utf8_lossy(&text);
    let last: Vec<&str> = text.lines().rev().take(8).collect();
    Err(format!(
        "{name} failed ({status}): {}",
        last.into_iter().rev().collect::<Vec<_>>().join("\n  ")
    ))
}

/// Progress for whoever waits: straight to the terminal, since libtest keeps what tests print.
pub fn say(text: &str) {
    use std::io::Write as _;
    // Nobody reads it when it cannot be written.
    let _ = writeln!(std::io::stderr(), "[workloads] {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_step_says() {
        assert_eq!(get(&mut shell("echo here")).unwrap(), "here\n");
        let failed = build(&mut shell("echo why >&2; exit 3")).unwrap_err();
        assert!(
            matches!(&failed, Error::Broken(text) if text.contains("why") && text.contains("exit status: 3"))
        );
    }

    #[test]
    fn a_step_that_never_ends() {
        let limit = Duration::from_millis(100);
        let late = run_within(limit, &mut shell("sleep 1000 & wait")).unwrap_err();
        assert!(late.contains("not ended within"), "{late}");
    }
}
