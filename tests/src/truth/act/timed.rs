//! Calls of known durations: the server sleeps. The rest of a call is what both measure.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::complete;
use crate::prerequisite::Error;
use crate::truth::counts;
use crate::truth::latency::{self, Durations};
use crate::truth::settled;
use crate::truth::stage::{Round, Stage};
use crate::workload::plan::Step;
use crate::workload::tally::Tally;

/// How much longer than asked for a server may sleep, as a part and in seconds.
const MAX_LATE: (f64, f64) = (0.03, 0.001);

pub fn run(stage: &mut Stage<'_>) -> Result<Round> {
    let steps = stage.plan();
    let earlier = stage.watch.counts()?;
    let before = stage.watch.observer()?.scrape()?;
    let mut server = stage.start_server()?;
    let mut client = stage.start_client(&server)?;
    let made = client.run(steps.clone())?;
    client.quit()?;
    let taken = server.tally_after(made.ended())?;
    server.quit()?;
    complete(&made)?;
    let packets = packets(stage, &steps)?;
    if packets.is_empty() {
        keeps_time(&steps, &taken)?;
    }
    settled::await_calls(stage.watch, &earlier, counts::told(&taken).values().sum())?;
    let after = stage.watch.observer()?.scrape()?;
    let mut round = Round::of(stage, &made, &taken);
    for (method, own) in &taken.methods {
        let seen = Durations::of(&after, method).since(&Durations::of(&before, method));
        let (figures, is_near) = latency::compare(method, &seen, own, packets.get(method));
        if !is_near {
            round.failures.push(figures.clone());
        }
        round.figures.push(format!(
            "{} <- {}: {figures}",
            stage.server.language, stage.client.language
        ));
    }
    Ok(round)
}

/// Durations of each method on the wire, if it was recorded. Steps follow each other on one connection: the order of the
/// calls tells their methods.
fn packets(stage: &Stage<'_>, steps: &[Step]) -> Result<BTreeMap<String, Durations>> {
    let Some(dump) = &stage.dump else {
        return Ok(BTreeMap::new());
    };
    let count = steps.iter().map(|step| step.count as usize).sum();
    let wire = dump.wire(|wire| wire.calls.iter().filter(|call| call.ended.is_some()).count() >= count)?;
    ensure!(
        wire.calls.len() == count,
        "{} calls in the packets",
        wire.calls.len()
    );
    let mut calls = wire.calls.iter();
    let of = |step: &Step| {
        let own = calls.by_ref().take(step.count as usize);
        let took = own.filter_map(|call| Some(call.ended?.0 - call.begun));
        (step.method.clone(), Durations::of_calls(took))
    };
    Ok(steps.iter().map(of).collect())
}

/// Where a server is not woken in time, the programs are not the ones that are measured.
fn keeps_time(steps: &[Step], taken: &Tally) -> Result<(), Error> {
    for step in steps {
        let Some(own) = taken.methods.get(&step.method) else {
            continue;
        };
        let (asked, slept) = (f64::from(step.sleep_ms) / 1000.0, own.mean());
        if slept > asked * (1.0 + MAX_LATE.0) + MAX_LATE.1 {
            let slept = slept * 1000.0;
            return Err(Error::Missing(format!(
                "the machine is too busy for it: to sleep {} ms took {slept:.1} ms",
                step.sleep_ms
            )));
        }
    }
    Ok(())
}
