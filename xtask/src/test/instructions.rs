//! The guard against dearer calls: instruction counts against the committed figures.

use anyhow::Result;

use crate::instructions::{self, Baseline, Change};
use crate::test::{Skips, Tally};
use crate::workspace::Workspace;

pub fn guard(workspace: &Workspace, skips: &Skips) -> Result<Tally> {
    let baseline = Baseline::read(workspace)?;
    let foreign = baseline.is_foreign()?;
    let reason = foreign.or_else(|| instructions::prepare().err().map(|error| error.to_string()));
    if let Some(reason) = reason {
        skips.add("instructions of a call", &reason)?;
        return Ok(Tally {
            passed: 1,
            ..Tally::default()
        });
    }
    println!("counting instructions of calls");
    let mut tally = Tally::default();
    for cost in instructions::measure(workspace)? {
        match baseline.compare(&cost) {
            Change::Same => tally.passed += 1,
            Change::Lower => {
                tally.passed += 1;
                println!("{cost}: lower than committed; write it down by `cargo xtask bench --instructions`");
            }
            Change::Higher | Change::New => {
                tally.failed += 1;
                println!(
                    "{cost}: higher than committed, or not committed; make it lower, or write it down by \
                     `cargo xtask bench --instructions` and say why in the commit"
                );
            }
        }
    }
    Ok(tally)
}
