//! The guard against dearer calls, of the kernel programs and the daemon together: the calls of plain sockets in the machine
//! that counts, against the committed figures.

use std::path::Path;

use anyhow::Result;

use crate::test::{Skips, Tally};
use crate::whole_call::{self, Baseline, Change, Cost, GUARDED, Guest};
use crate::workspace::Workspace;

pub fn guard(workspace: &Workspace, skips: &Skips, daemon: &Path) -> Result<Tally> {
    let baseline = Baseline::read(workspace)?;
    let compiler = whole_call::compiler()?;
    if compiler != baseline.compiler {
        return skip(skips, &baseline, &format!("this is {compiler}"));
    }
    let machine = match whole_call::prepare(workspace) {
        Ok(kernel) => kernel,
        Err(error) => return skip(skips, &baseline, &format!("{error:#}")),
    };
    let kernel = whole_call::release(&machine);
    if kernel != baseline.kernel {
        return skip(skips, &baseline, &format!("this is Linux {kernel}"));
    }
    println!("counting instructions of whole calls, in an emulated machine");
    // What other parts have found must not be lost with this one.
    let counted = Guest::guard(workspace, daemon, machine).and_then(|guest| guest.count(workspace));
    Ok(counted.map_or_else(
        |error| {
            println!("instructions of a whole call were not counted: {error:#}");
            Tally {
                failed: 1,
                ..Tally::default()
            }
        },
        |costs| compare(&baseline, &costs),
    ))
}

fn compare(baseline: &Baseline, costs: &[Cost]) -> Tally {
    let mut tally = Tally::default();
    for cost in costs {
        match baseline.compare(cost) {
            Change::Same => tally.passed += 1,
            Change::Lower => {
                tally.passed += 1;
                println!("{cost}: lower than committed; write it down by `cargo xtask bench --guest`");
            }
            Change::Higher | Change::New => {
                tally.failed += 1;
                println!(
                    "{cost}: higher than committed, or not committed; make it lower, or write it down by \
                     `cargo xtask bench --guest` and say why in the commit"
                );
            }
        }
    }
    for known in baseline.of(GUARDED) {
        if !costs.iter().any(|cost| cost.is_like(known)) {
            tally.failed += 1;
            println!("{known}: committed, and not counted");
        }
    }
    tally
}

fn skip(skips: &Skips, baseline: &Baseline, why: &str) -> Result<Tally> {
    let Baseline { kernel, compiler, .. } = baseline;
    let reason = format!("the figures are of Linux {kernel} and {compiler}, and {why}");
    skips.add("instructions of a whole call", &reason)?;
    Ok(Tally {
        passed: 1,
        ..Tally::default()
    })
}
