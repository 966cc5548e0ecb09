//! A program is killed with calls under way. What the wire shows of it, a connection that breaks under its calls,
//! is `UNAVAILABLE` by the contract, whatever the other program calls it.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::truth::counts;
use crate::truth::stage::{Round, Stage};
use crate::wait;
use crate::workload::Server;
use crate::workload::tally::Tally;

const LIMIT: Duration = Duration::from_secs(30);

/// Waits until `calls` calls have reached the server's program.
fn begun(server: &mut Server, calls: u64) -> Result<Tally> {
    wait::until(LIMIT, || {
        let tally = server.tally().map_err(|error| error.to_string())?;
        if tally.started() >= calls {
            Ok(tally)
        } else {
            Err(format!(
                "{} of {calls} calls have reached the server",
                tally.started()
            ))
        }
    })
}

pub fn server(stage: &mut Stage<'_>) -> Result<Round> {
    let plan = stage.plan();
    let calls: u32 = plan.iter().map(|step| step.count).sum();
    let mut server = stage.start_server()?;
    let mut client = stage.start_client(&server)?;
    client.begin(plan)?;
    begun(&mut server, calls.into())?;
    server.process.kill();
    let made = client.result()?;
    client.quit()?;
    let truth = counts::all_ended(&made, "UNAVAILABLE");
    Ok(Round {
        server: truth.clone(),
        client: truth,
        client_view: Some(counts::told(&made)),
        ..Round::default()
    })
}

pub fn client(stage: &mut Stage<'_>) -> Result<Round> {
    let plan = stage.plan();
    let calls: u32 = plan.iter().map(|step| step.count).sum();
    let mut server = stage.start_server()?;
    let mut client = stage.start_client(&server)?;
    client.begin(plan)?;
    begun(&mut server, calls.into())?;
    client.process.kill();
    let taken = server.tally_after(calls.into())?;
    if taken.ended() < u64::from(calls) {
        return Err(anyhow!(
            "the server does not notice the end of its client: {taken:?}"
        ));
    }
    server.quit()?;
    let truth = counts::all_ended(&taken, "UNAVAILABLE");
    Ok(Round {
        server: truth.clone(),
        client: truth,
        server_view: Some(counts::told(&taken)),
        ..Round::default()
    })
}
