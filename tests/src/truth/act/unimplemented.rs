//! Methods that the server does not have: every implementation has to answer `UNIMPLEMENTED`, and the observer has to
//! say so, whatever clients make of the answer (grpclib's own misses a content type in it).

use anyhow::Result;

use crate::truth::counts;
use crate::truth::stage::{Round, Stage};

pub fn run(stage: &mut Stage<'_>) -> Result<Round> {
    let plan = stage.plan();
    let server = stage.start_server()?;
    let mut client = stage.start_client(&server)?;
    let made = client.run(plan)?;
    client.quit()?;
    server.quit()?;
    let truth = counts::all_ended(&made, "UNIMPLEMENTED");
    Ok(Round {
        server: truth.clone(),
        client: truth,
        client_view: Some(counts::told(&made)),
        ..Round::default()
    })
}
