//! Mixed traffic with faults for half an hour, under one observer: its counts stay exact and its memory flat.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::cell::Cell;
use super::run::Run;
use super::situation::{self, Situation};

/// What comes again and again; the roads come and go with their namespaces.
const MIXED: [&str; 9] = [
    "streaming",
    "server-killed",
    "short-connections",
    "cancel-after-first",
    "client-killed",
    "goaway",
    "long-connection",
    "loss-1",
    "large-metadata",
];
/// Tables grow to what the traffic needs within some rounds.
const WARMING: usize = 2;
/// What the resident memory may grow after that: the allocator's, not the observer's.
const MAX_GROWTH: f64 = 8.0 * 1024.0 * 1024.0;

pub fn run(run: &mut Run, length: Duration) -> Result<ExitCode> {
    let begun = Instant::now();
    let situations = situation::ALL.iter().filter(|one| MIXED.contains(&one.name));
    let situations: Vec<&'static Situation> = situations.collect();
    let (mut sum, mut rounds, mut settled, mut last) = (Cell::default(), 0_usize, None, 0.0);
    while begun.elapsed() < length {
        for (number, situation) in situations.iter().enumerate() {
            let cell = run.turn(situation, rounds + number)?;
            sum.failures.extend(cell.failures.iter().cloned());
            sum.add(&cell);
            last = run.memory(situation)?;
        }
        rounds += 1;
        if rounds == WARMING {
            settled = Some(last);
        }
        println!(
            "soak: round {rounds}, {} minutes: {} calls, {} right, {} unobserved, {} wrong; observer {:.1} MiB",
            begun.elapsed().as_secs() / 60,
            sum.server.made,
            sum.server.right,
            sum.server.unobserved,
            sum.server.wrong,
            last / 1024.0 / 1024.0
        );
    }
    let growth = settled.map_or(0.0, |settled: f64| last - settled);
    println!(
        "soak: {} rounds; memory grew by {:.1} MiB after round {WARMING}; {} pairs failed",
        rounds,
        growth / 1024.0 / 1024.0,
        sum.failures.len()
    );
    for failure in &sum.failures {
        println!("FAILED {failure}\n");
    }
    let is_right = sum.failures.is_empty() && growth <= MAX_GROWTH;
    Ok(if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
