//! Programs that tests start: what they say is waited for, but not for ever, and they end with the test.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::skip::skipped;

/// A program that says something on a line of its own and ends when its standard input does.
pub(crate) struct Program {
    pub(crate) child: Child,
    lines: Receiver<String>,
}

/// A loaded machine; a program that says nothing for so long never will.
const PATIENCE: Duration = Duration::from_mins(1);

impl Program {
    pub(crate) fn python(test: &str, code: &str, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new("python3");
        command.arg("-c").arg(code).args(arguments);
        Self::start(test, command)
    }

    pub(crate) fn start(test: &str, mut command: Command) -> Option<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                skipped(test, &format!("{}: {error}", command.get_program().display()));
                return None;
            }
        };
        let output = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = mpsc::channel();
        // Ends with the program, or with the test.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        Some(Self { child, lines })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next; empty when it has ended.
    pub(crate) fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line.trim().to_owned(),
            Err(mpsc::RecvTimeoutError::Disconnected) => String::new(),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it says nothing for {PATIENCE:?}"),
        }
    }

    pub(crate) fn numbers(&mut self) -> Vec<u16> {
        self.line()
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect()
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
