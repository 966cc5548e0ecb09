//! The page `observer/docs/kernels.md`: what every kernel made of the capture test and of the truth.

use std::fmt::Write as _;

use super::outcome::Outcome;
use super::suite::{Cell, SITUATIONS, Suite};

const HEAD: &str = "\
# Kernels

The daemon under other kernels than the one that it was written on. Written by `cargo xtask kernels`, which boots each kernel
of Debian's (x86_64, cloud flavour, 2 CPUs) in an emulated machine into static programs: the capture test
(`tests/tests/capture_exchange.rs`), which compares every header frame byte for byte, and the short form of
[the truth](truth.md), with the daemon as it is released and tonic as server and client.

arm64 was not run: it has no kernel and no static programs here yet.
";

/// One kernel's results.
#[derive(Debug)]
pub struct Run {
    pub kernel: String,
    pub outcome: Outcome,
    pub suite: Suite,
}

pub fn page(date: &str, runs: &[Run]) -> String {
    let mut text = format!(
        "{HEAD}\nRun on {date}.\n\n| kernel | programs attached in | captured | truth |\n|---|---|---|---|\n"
    );
    for Run {
        kernel,
        outcome,
        suite,
    } in runs
    {
        let _ = writeln!(
            text,
            "| {kernel} | {} | {} | {} |",
            outcome.attached(),
            outcome.captured(),
            suite.summary()
        );
    }
    let kernels: Vec<&str> = runs.iter().map(|run| run.kernel.as_str()).collect();
    let head = format!(
        "| situation | {} |\n|---|{}\n",
        kernels.join(" | "),
        "---|".repeat(kernels.len())
    );
    let _ = write!(
        text,
        "\n## Calls\n\n`made / right / unobserved / wrong` at the server's socket; a second line where the client's differs. \
         A cell that fails is marked `!`.\n\n{head}"
    );
    for name in SITUATIONS {
        let cells: Vec<String> = runs.iter().map(|run| shown(run.suite.cells.get(name))).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    let skipped: Vec<String> = runs.iter().flat_map(skips).collect();
    if !skipped.is_empty() {
        let _ = writeln!(text, "\n## Skipped\n\n{}", skipped.join("\n"));
    }
    text
}

fn shown(cell: Option<&Cell>) -> String {
    match cell {
        None => "did not end".to_owned(),
        Some(Cell::Skipped(_)) => "SKIPPED".to_owned(),
        Some(Cell::Counts {
            server,
            client,
            failed,
        }) => {
            let mark = if *failed { " !" } else { "" };
            if server == client {
                format!("{server}{mark}")
            } else {
                format!("{server}<br>{client}{mark}")
            }
        }
    }
}

fn skips(run: &Run) -> Vec<String> {
    let skipped = run.suite.cells.iter().filter_map(|(name, cell)| match cell {
        Cell::Skipped(reason) => Some(format!("- {name}, {}: {reason}", run.kernel)),
        Cell::Counts { .. } => None,
    });
    skipped.collect()
}
