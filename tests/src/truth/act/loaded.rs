//! h2load as the client: an encoder that is none of gRPC's, and a client without a status. The server tells how its
//! calls ended.

use anyhow::{Result, ensure};

use crate::truth::counts;
use crate::truth::stage::{Round, Stage};
use crate::workload::h2load::H2load;

pub fn run(stage: &mut Stage<'_>) -> Result<Round> {
    let plan = stage.plan();
    let h2load = H2load::prepare()?;
    let mut server = stage.start_server()?;
    let scheme = if stage.situation.around.tls {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{}", server.address());
    let mut made = 0;
    for step in &plan {
        let answered = h2load.run(&url, step, &stage.watch.place())?;
        ensure!(
            answered == u64::from(step.count),
            "{answered} of {} calls were answered",
            step.count
        );
        made += answered;
    }
    let taken = server.tally_after(made)?;
    server.quit()?;
    let truth = counts::told(&taken);
    Ok(Round {
        server: truth.clone(),
        client: truth,
        ..Round::default()
    })
}
