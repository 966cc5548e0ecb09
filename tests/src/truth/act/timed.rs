//! Calls of known durations: the server sleeps. The rest of a call is what both measure.

use anyhow::Result;

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
    keeps_time(&steps, &taken)?;
    settled::await_calls(stage.watch, &earlier, counts::told(&taken).values().sum())?;
    let after = stage.watch.observer()?.scrape()?;
    let mut round = Round::of(stage, &made, &taken);
    for (method, own) in &taken.methods {
        let seen = Durations::of(&after, method).since(&Durations::of(&before, method));
        let (figures, is_near) = latency::compare(method, &seen, own);
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
