//! Mixed traffic with faults for half an hour, under one observer: its counts stay exact and its memory flat.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::cell::Cell;
use super::page::{kernel, today};
use super::run::Run;
use super::situation::{self, Around, Situation};
use crate::workload::Language;

/// What comes again and again; the roads come and go with their namespaces.
const MIXED: [&str; 11] = [
    "hundred-streams",
    "streaming",
    "server-killed",
    "short-connections",
    "deadline",
    "cancel-after-first",
    "client-killed",
    "goaway",
    "long-connection",
    "loss-1",
    "large-metadata",
];
/// Every page of the ring counts once it was written, so it has to have been filled before memory can be flat; this one is,
/// within the rounds of [`WARMING`], and holds what is written while the observer is not scheduled for seconds.
const RING: u32 = 16 << 20;
/// After so many rounds every pair of programs has been in every situation: all series are there, all tables as large as the
/// traffic needs them.
const WARMING: usize = Language::ALL.len() + 1;
/// What the resident memory may grow after that: the allocator's, not the observer's.
const MAX_GROWTH: f64 = 4.0 * MEBIBYTE;
const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// Shorter ones are trials, and no page is written.
const WHOLE: Duration = Duration::from_mins(30);

/// After one round of all situations.
#[derive(Debug)]
struct Mark {
    minutes: u64,
    calls: u64,
    series: f64,
    resident: f64,
}

pub fn run(run: &mut Run, length: Duration) -> Result<ExitCode> {
    let begun = Instant::now();
    let (mut sum, mut marks) = (Cell::default(), Vec::new());
    let situations = situations();
    while begun.elapsed() < length {
        let (mut resident, mut series) = (0.0, 0.0);
        for (number, situation) in situations.iter().enumerate() {
            let cell = run.turn(situation, marks.len() + number)?;
            sum.failures.extend(cell.failures.iter().cloned());
            sum.add(&cell);
            resident = run.own(situation, "marty_observer_resident_memory_bytes")?;
            series = run.own(situation, "marty_observer_series_held")?;
        }
        let (server, client) = (&sum.server, &sum.client);
        marks.push(Mark {
            minutes: begun.elapsed().as_secs() / 60,
            calls: server.made,
            series,
            resident,
        });
        println!(
            "soak: round {}, {} minutes: {} calls; wrong {} and {}, unobserved {} and {}; observer {:.1} MiB, {series} series",
            marks.len(),
            begun.elapsed().as_secs() / 60,
            server.made,
            server.wrong,
            client.wrong,
            server.unobserved,
            client.unobserved,
            resident / MEBIBYTE
        );
    }
    let growth = growth(&marks);
    println!("{}", summary(&sum, &marks));
    for failure in &sum.failures {
        println!("FAILED {failure}\n");
    }
    let is_right = sum.failures.is_empty() && growth.is_some_and(|growth| growth <= MAX_GROWTH);
    if length >= WHOLE {
        std::fs::write(path(), page(run, &sum, &marks, is_right)?)?;
    }
    Ok(if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// All under the same observer, whatever the rows of the table want.
fn situations() -> Vec<Situation> {
    let mixed = situation::ALL.iter().filter(|one| MIXED.contains(&one.name));
    mixed
        .map(|one| Situation {
            around: Around {
                ring_bytes: RING,
                ..one.around
            },
            ..*one
        })
        .collect()
}

/// From the end of the warming to the highest point after it; `None`: it was too short to tell.
fn growth(marks: &[Mark]) -> Option<f64> {
    let (warm, later) = marks.get(WARMING - 1..)?.split_first()?;
    let highest = later.iter().map(|mark| mark.resident).max_by(f64::total_cmp)?;
    Some(highest - warm.resident)
}

fn summary(sum: &Cell, marks: &[Mark]) -> String {
    let growth = growth(marks).map_or_else(
        || "too few rounds to judge the memory".to_owned(),
        |growth| {
            format!(
                "resident memory at most {:.1} MiB above that after round {WARMING}",
                growth / MEBIBYTE
            )
        },
    );
    format!(
        "soak: {} rounds, {} calls: at the servers' sockets {} right, {} unobserved, {} wrong; at the clients' {} right, \
         {} unobserved, {} wrong; {} pairs failed; {growth}",
        marks.len(),
        sum.server.made,
        sum.server.right,
        sum.server.unobserved,
        sum.server.wrong,
        sum.client.right,
        sum.client.unobserved,
        sum.client.wrong,
        sum.failures.len()
    )
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../observer/docs/soak.md")
}

fn page(run: &Run, sum: &Cell, marks: &[Mark], is_right: bool) -> Result<String> {
    let mut text = format!(
        "# Soak\n\nMixed traffic with faults under one observer: its counts have to stay exact and its memory flat. Written by\n\
         `cargo xtask truth --soak 30`. Each round is one pair of programs, another one each time, in each of the situations\n\
         {}\n([truth.md](truth.md) says what they are), under a ring of {} MiB.\n\n\
         Run on {}, kernel {}, seed {}: {}.\n\n{}.\n\n| minute | calls so far | series | resident |\n|---|---|---|---|\n",
        MIXED.join(", "),
        RING >> 20,
        today(),
        kernel()?,
        run.seed(),
        if is_right { "passed" } else { "FAILED" },
        summary(sum, marks)
    );
    // Some ten lines say as much as a hundred.
    let step = marks.len().div_ceil(12).max(1);
    for mark in marks.iter().step_by(step) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.1} MiB |",
            mark.minutes,
            mark.calls,
            mark.series,
            mark.resident / MEBIBYTE
        );
    }
    for failure in &sum.failures {
        let _ = writeln!(text, "\n    FAILED {}", failure.replace('\n', "\n    "));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_judged_after_warming() {
        let marks = |resident: &[f64]| -> Vec<Mark> {
            let mark = |resident: &f64| Mark {
                minutes: 0,
                calls: 0,
                series: 0.0,
                resident: *resident,
            };
            resident.iter().map(mark).collect()
        };
        let check = |resident: &[f64], expected| assert_eq!(growth(&marks(resident)), expected);
        let warm: Vec<f64> = [1.0; WARMING - 1].into_iter().chain([50.0]).collect();
        let check = |later: &[f64], expected| check(&[warm.as_slice(), later].concat(), expected);
        check(&[], None);
        check(&[50.0], Some(0.0));
        check(&[60.0, 50.0], Some(10.0));
    }

    #[test]
    fn every_name_is_a_situation() {
        assert_eq!(situations().len(), MIXED.len());
    }
}
