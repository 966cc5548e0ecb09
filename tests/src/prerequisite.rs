//! What a test needs of the machine: programs and packages, got where that is possible, named where it is not.

use std::process::Command;

use crate::skip::skipped;

pub mod apt;

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
    let name = std::iter::once(command.get_program()).chain(command.get_args());
    let name = name
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let last: Vec<&str> = text.lines().rev().take(8).collect();
    Err(format!(
        "{name} failed ({}): {}",
        output.status,
        last.into_iter().rev().collect::<Vec<_>>().join("\n  ")
    ))
}

/// Progress for whoever waits: straight to the terminal, since libtest keeps what tests print.
pub fn say(text: &str) {
    use std::io::Write as _;
    // Nobody reads it when it cannot be written.
    let _ = writeln!(std::io::stderr(), "[workloads] {text}");
}
