//! A proxy in the middle: each call is two, and each of them has to be counted at its own service.

use std::collections::BTreeMap;

use anyhow::Result;

use super::complete;
use crate::truth::counts;
use crate::truth::proxy::Proxy;
use crate::truth::stage::{Round, Stage};

pub fn nginx(stage: &mut Stage<'_>) -> Result<Round> {
    run(stage, Proxy::Nginx)
}

pub fn envoy(stage: &mut Stage<'_>) -> Result<Round> {
    run(stage, Proxy::Envoy)
}

fn run(stage: &mut Stage<'_>, proxy: Proxy) -> Result<Round> {
    let plan = stage.plan();
    let mut server = stage.start_server()?;
    let running = proxy.start(
        &server.address(),
        stage.server.certificates(),
        &stage.watch.place(),
    )?;
    stage.await_probes(&running.process)?;
    let mut client = stage.client.client(&running.address, &stage.watch.place())?;
    stage.await_probes(&client.process)?;
    let made = client.run(plan)?;
    client.quit()?;
    let taken = server.tally_after(made.ended())?;
    running.stop();
    server.quit()?;
    complete(&made)?;
    let (client_view, server_view) = (counts::told(&made), counts::told(&taken));
    let mut both = client_view.clone();
    counts::add(&mut both, &server_view);
    Ok(Round {
        server: both.clone(),
        client: both,
        services: BTreeMap::from([(proxy.service().to_owned(), made.ended())]),
        ..Round::default()
    })
}
