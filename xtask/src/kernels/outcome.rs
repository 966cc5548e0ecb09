//! What a test said in its guest, as a row of the table.

use super::guest::STATUS;

pub const HEAD: &str = "kernel                        attached in   captured, and calls of the truth";

/// One kernel's run.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// The slowest, of several.
    attach: Option<String>,
    connections: u64,
    frames: u64,
    /// Exit status of the test; `None`: it was not heard of.
    status: Option<i32>,
}

impl Outcome {
    pub fn parse(said: &str) -> Self {
        let mut outcome = Self::default();
        let mut slowest = 0.0;
        for line in said.lines().map(str::trim) {
            if let Some(time) = line.strip_prefix("attached in ")
                && seconds(time) > slowest
            {
                slowest = seconds(time);
                outcome.attach = Some(format!("{slowest:.1} s"));
            }
            if let Some((connections, frames)) = compared(line) {
                outcome.connections += connections;
                outcome.frames += frames;
            }
            if let Some(status) = line.strip_prefix(STATUS) {
                outcome.status = status.parse().ok();
            }
        }
        outcome
    }

    pub fn is_good(&self) -> bool {
        self.status == Some(0) && self.frames > 0
    }

    /// How long it took to load and attach the programs.
    pub fn attached(&self) -> &str {
        self.attach.as_deref().unwrap_or("not attached")
    }

    pub fn captured(&self) -> String {
        match self.status {
            Some(0) if self.frames > 0 => format!(
                "{} frames of {} sockets, byte for byte",
                self.frames, self.connections
            ),
            // All tests skipped themselves.
            Some(0) => "nothing was tested".to_owned(),
            Some(status) => format!("failed ({status})"),
            None => "did not end".to_owned(),
        }
    }

    pub fn row(&self, kernel: &str) -> String {
        format!("{kernel:<30}{:<14}{}", self.attached(), self.captured())
    }
}

/// A duration as Rust prints it.
fn seconds(text: &str) -> f64 {
    let units = [("ms", 1e-3), ("µs", 1e-6), ("s", 1.0)];
    units
        .iter()
        .find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
        .unwrap_or(0.0)
}

/// `NAME: 2 ends, 322 frames, …`: what was compared, and found equal if the test did not fail.
fn compared(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.split_once(": ")?;
    let mut counts = counts.split(", ");
    let count = |text: Option<&str>, unit| text?.strip_suffix(unit)?.parse().ok();
    Some((count(counts.next(), " ends")?, count(counts.next(), " frames")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, good: bool, row: &str) {
        let outcome = Outcome::parse(said);
        assert_eq!(outcome.is_good(), good, "{said}");
        assert_eq!(
            outcome
                .row("6.1")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            row
        );
    }

    #[test]
    fn runs() {
        let said = "attached in 950.1ms\nattached in 2.51s\nx: 2 ends, 300 frames, 9 header bytes, losses []\n\
                    y: 2 ends, 22 frames, 1 header bytes, losses []\r\nguest: status 0\r\n";
        check(said, true, "6.1 2.5 s 322 frames of 4 sockets, byte for byte");
        check(
            "attached in 1s\nguest: status 101\n",
            false,
            "6.1 1.0 s failed (101)",
        );
        check("guest: status 0\n", false, "6.1 not attached nothing was tested");
        check("", false, "6.1 not attached did not end");
    }
}
