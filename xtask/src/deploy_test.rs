//! `cargo xtask deploy-test`: everything of `deploy` that can run on this machine, by the tests of crate `tests` whose
//! names begin with `deploy_`: rules, routes, chart and dashboards, then the real servers around a real observer. What
//! cannot run is listed as SKIPPED.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::build::{self, Programs};
use crate::rules;
use crate::test::{self, Skips, Tally};
use crate::workspace::Workspace;

/// Without a kernel, in two minutes: for every change.
const FAST: [&str; 4] = ["deploy_compose", "deploy_rules", "deploy_chart", "deploy_silence"];
/// The daemon, and the servers.
const LIVE: [&str; 3] = ["deploy_unit", "deploy_stack", "deploy_cluster"];

/// What no registry that we may use offers.
const NOT_HAD: [(&str, &str); 3] = [
    (
        "deploy_grafana",
        "there is no Grafana to be had: its dashboards' questions are asked of a real Prometheus, their form is checked",
    ),
    (
        "deploy_compose_up",
        "there is no container registry to be had: the compose file is only parsed",
    ),
    (
        "deploy_image_build",
        "there is no container registry to be had: `cargo xtask dist` packs the image's file system itself",
    ),
];

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let fast = match args {
        [] => false,
        [only] if only == "--fast" => true,
        [other, ..] => bail!("`cargo xtask deploy-test` knows no `{other}`, only --fast"),
    };
    if !rules::is_current(workspace)? {
        return Ok(ExitCode::FAILURE);
    }
    let skips = Skips::begin(workspace)?;
    let mut tally = Tally::default();
    if fast {
        tally += test::of(workspace, &skips, None, &FAST)?;
    } else {
        let daemon = build::build(workspace, Programs::Release)?;
        tally += test::of(
            workspace,
            &skips,
            Some(&daemon),
            &[FAST.as_slice(), &LIVE].concat(),
        )?;
        for (name, reason) in NOT_HAD {
            skips.add(name, reason)?;
            // The sum counts a skip as one that had passed before.
            tally.passed += 1;
        }
    }
    test::close(&skips, tally)
}
