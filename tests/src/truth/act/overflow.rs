//! The observer stands still while its ring fills and overflows, then goes on: calls under way at both edges, and
//! calls of which it never hears. Some calls one after the other end it: what was opened in a hole at the very end of a
//! connection nothing tells of.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::complete;
use crate::truth::stage::{Round, Stage};
use crate::wait;
use crate::workload::plan::{Kind, Step};

const LIMIT: Duration = Duration::from_mins(1);

pub fn run(stage: &mut Stage<'_>) -> Result<Round> {
    let plans = [stage.plan(), stage.plan(), stage.plan()];
    let mut server = stage.start_server()?;
    let mut client = stage.start_client(&server)?;
    let mut made = crate::workload::tally::Tally::default();
    for (number, plan) in plans.into_iter().enumerate() {
        let process = &stage.watch.observer()?.process;
        let stand_still = number == 1;
        if stand_still {
            process.signal(Signal::STOP)?;
        }
        let told = client.run(plan);
        if stand_still {
            stage.watch.observer()?.process.signal(Signal::CONT)?;
            awake(stage)?;
        }
        made.add(&told?);
    }
    awake(stage)?;
    made.add(&client.run([Step::new(Kind::Unary, "/truth.v1.Truth/Get", 5)])?);
    client.quit()?;
    let taken = server.tally_after(made.ended())?;
    server.quit()?;
    complete(&made)?;
    Ok(Round::of(stage, &made, &taken))
}

/// Until the ring has been read, so that what follows finds room in it.
fn awake(stage: &Stage<'_>) -> Result<()> {
    let mut last = None;
    wait::until(LIMIT, || {
        let events = stage.watch.counts().map_err(|error| error.to_string())?.events;
        if last.replace(events) == Some(events) {
            Ok(())
        } else {
            Err(format!("the ring is still being read: {events} events"))
        }
    })
}
