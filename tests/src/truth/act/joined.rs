//! Observers that come late: started when connections are in use, or restarted between the calls of connections
//! that stay open.

use anyhow::Result;

use super::complete;
use crate::truth::counts;
use crate::truth::settled;
use crate::truth::stage::{Round, Stage};

/// Only what was done after the start is the truth.
pub fn started(stage: &mut Stage<'_>) -> Result<Round> {
    stage.watch.stop()?;
    let (first, second) = (stage.plan(), stage.plan());
    let mut server = stage.start_server()?;
    let mut client = stage.start_client(&server)?;
    let before = client.run(first)?;
    let taken_before = server.tally_after(before.ended())?;
    stage.watch.resume()?;
    let made = client.run(second)?;
    client.quit()?;
    let taken = server.tally_after(before.ended() + made.ended())?;
    server.quit()?;
    complete(&made)?;
    Ok(Round::of(stage, &made, &taken.since(&taken_before)))
}

/// All of it is the truth: nothing is called while no observer runs.
pub fn restarted(stage: &mut Stage<'_>) -> Result<Round> {
    let (first, second) = (stage.plan(), stage.plan());
    let earlier = stage.watch.counts()?;
    let mut server = stage.start_server()?;
    let mut client = stage.start_client(&server)?;
    let mut made = client.run(first)?;
    let taken = server.tally_after(made.ended())?;
    settled::await_calls(stage.watch, &earlier, counts::told(&taken).values().sum())?;
    stage.watch.stop()?;
    stage.watch.resume()?;
    made.add(&client.run(second)?);
    client.quit()?;
    let taken = server.tally_after(made.ended())?;
    server.quit()?;
    complete(&made)?;
    Ok(Round::of(stage, &made, &taken))
}
