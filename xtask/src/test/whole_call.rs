//! The guard against dearer calls, of the kernel programs and the daemon together: the shortest run of the machine that
//! counts, against the committed figures.

use anyhow::Result;

use crate::test::{Skips, Tally};
use crate::whole_call::{self, Baseline, Change, Guest};
use crate::workspace::Workspace;

pub fn guard(workspace: &Workspace, skips: &Skips, daemon: &std::path::Path) -> Result<Tally> {
    let baseline = Baseline::read(workspace)?;
    let machine = match whole_call::prepare(workspace) {
        Ok(kernel) => kernel,
        Err(error) => return skip(skips, &format!("{error:#}")),
    };
    let (kernel, compiler) = (whole_call::release(&machine), whole_call::compiler()?);
    if (&kernel, &compiler) != (&baseline.kernel, &baseline.compiler) {
        let Baseline {
            kernel: other,
            compiler: older,
            ..
        } = baseline;
        let reason =
            format!("the figures are of Linux {other} and {older}, and this is {kernel} and {compiler}");
        return skip(skips, &reason);
    }
    let guest = Guest::build(workspace, daemon, machine)?.own();
    println!("counting instructions of whole calls, in an emulated machine");
    let mut tally = Tally::default();
    for cost in guest.count(workspace)? {
        match baseline.compare(&cost) {
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
    Ok(tally)
}

fn skip(skips: &Skips, reason: &str) -> Result<Tally> {
    skips.add("instructions of a whole call", reason)?;
    Ok(Tally {
        passed: 1,
        ..Tally::default()
    })
}
