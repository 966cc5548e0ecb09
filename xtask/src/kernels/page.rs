//! The page `observer/docs/kernels.md`: what every kernel made of the capture test and of the truth.

use std::fmt::Write as _;

use super::outcome::Outcome;
use super::suite::{Cell, OVER_TLS, SITUATIONS, Suite};

const HEAD: &str = "\
# Kernels

The daemon under other kernels than the one that it was written on. Written by `cargo xtask kernels`, which boots each kernel
of Debian's (cloud flavour, 2 CPUs; amd64, and arm64 as a Cortex-A57) in an emulated machine into static programs: the capture test
(`tests/tests/capture_exchange.rs`), which compares every header frame byte for byte, and the short form of
[the truth](truth.md), with the daemon as it is released and tonic as server and client; over TLS (`--tls`) grpc-go. The kernel programs are the same
everywhere, but for the registers that they read inside of processes; daemon and tests are built for each architecture. *Names* is `tests/tests/identity_kubernetes.rs`: pods by their
cgroups, which guests have in version 2 alone, and an API server that is away, refuses and comes back. *Changes* is
`tests/tests/socket_changes.rs`: what the kernel counts of sockets in another network namespace.
";

/// One kernel's results.
#[derive(Debug)]
pub struct Run {
    pub kernel: String,
    pub outcome: Outcome,
    pub suite: Suite,
}

/// `count` is how many kernels there are.
pub fn page(date: &str, runs: &[Run], count: usize) -> String {
    let mut text = format!("{HEAD}\nRun on {date}.\n");
    if runs.len() < count {
        let _ = writeln!(text, "Stopped after {} of {count} kernels.", runs.len());
    }
    text += "\n| kernel | programs attached in | captured | truth | names | changes |\n|---|---|---|---|---|---|\n";
    for Run {
        kernel,
        outcome,
        suite,
    } in runs
    {
        let [names, changes] = suite.tests();
        let _ = writeln!(
            text,
            "| {kernel} | {} | {} | {} | {names} | {changes} |",
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
    for name in SITUATIONS.into_iter().chain(OVER_TLS) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_stopped() {
        let said = "attached in 2.5s\nx: 2 ends, 300 frames, 9 header bytes\nguest: status 0\n\
            [1/2] one-stream tonic <- tonic: 3 / 3 / 0 / 0, client side 3 / 2 / 0 / 1 FAILED (1 s)\n\
            [2/2] ipv6: SKIPPED: no IPv6\nguest: truth 1\nguest: encrypted 0\nguest: names 101\nguest: changes 0\n";
        let run = Run {
            kernel: "6.1".to_owned(),
            outcome: Outcome::parse(said),
            suite: Suite::parse(said),
        };
        let text = page("today", &[run], 2);
        for line in [
            "Stopped after 1 of 2 kernels.",
            "| 6.1 | 2.5 s | 300 frames of 2 sockets, byte for byte | 0 right, 1 failed, 1 skipped | failed (101) | right |",
            "| one-stream | 3 / 3 / 0 / 0<br>3 / 2 / 0 / 1 ! |",
            "| sizes | did not end |",
            "- ipv6, 6.1: no IPv6",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
