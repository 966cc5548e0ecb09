//! How a situation plays: the acts. Each gives what the applications counted; judging is not theirs.

pub mod interop;
pub mod joined;
pub mod killed;
pub mod loaded;
pub mod overflow;
pub mod proxied;
pub mod timed;
pub mod unimplemented;

use anyhow::{Result, ensure};

use super::situation::Judge;
use super::stage::{Round, Stage};
use crate::workload::tally::Tally;

pub type Act = fn(&mut Stage<'_>) -> Result<Round>;

/// A server, a client, a plan.
pub fn plain(stage: &mut Stage<'_>) -> Result<Round> {
    let plan = stage.plan();
    let mut server = stage.start_server()?;
    let mut client = stage.start_client(&server)?;
    let made = stage.run(&mut client, &server, plan)?;
    client.quit()?;
    let taken = match stage.situation.judge {
        Judge::Both => server.tally_after(made.ended())?,
        // All that it began has to end.
        Judge::Server => {
            let begun = server.tally()?.started();
            server.tally_after(begun)?
        }
    };
    server.quit()?;
    complete(&made)?;
    Ok(Round::of(stage, &made, &taken))
}

/// Whether the client got what it asked for. If not, the cell says nothing about the observer.
pub fn complete(made: &Tally) -> Result<()> {
    ensure!(
        made.unexpected.is_empty() && made.started() == made.ended(),
        "the programs fail without any observer's doing: {:?}",
        made.unexpected
    );
    Ok(())
}
