//! `cargo xtask deploy-test`: everything of `deploy` that can run on this machine, by the tests of crate `tests` whose
//! names begin with `deploy_`: rules, routes, chart and dashboards, then the real servers around a real observer, then the
//! chart on a real Kubernetes, where there is a script that starts one (see `cluster`). What cannot run is listed as SKIPPED.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::build;
use crate::test::{self, Skips, Tally};
use crate::workspace::Workspace;
use crate::{cluster, privilege, rules};

/// Without a kernel, in two minutes: for every change.
const FAST: [&str; 4] = ["deploy_compose", "deploy_rules", "deploy_chart", "deploy_silence"];
/// The daemon, and the servers.
const LIVE: [&str; 2] = ["deploy_unit", "deploy_stack"];
/// In a cluster of its own.
const CLUSTER: [&str; 1] = ["deploy_cluster"];

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
        tally += test::of(workspace, &skips, None, &FAST, &[])?;
    } else {
        let daemon = build::given_or_built(workspace)?;
        tally += test::of(
            workspace,
            &skips,
            Some(&daemon),
            &[FAST.as_slice(), &LIVE].concat(),
            &[],
        )?;
        tally += on_cluster(workspace, &skips, &daemon)?;
        for (name, reason) in NOT_HAD {
            skips.add(name, reason)?;
            // The sum counts a skip as one that had passed before.
            tally.passed += 1;
        }
    }
    test::close(&skips, tally)
}

/// Without a cluster the tests say so themselves.
fn on_cluster(workspace: &Workspace, skips: &Skips, daemon: &PathBuf) -> Result<Tally> {
    match cluster::script(workspace) {
        Some(script) if privilege::is_root() => cluster::during(&script, || {
            let environment = [(cluster::CLUSTER, script.as_path())];
            test::of(workspace, skips, Some(daemon), &CLUSTER, &environment)
        }),
        _ => test::of(workspace, skips, Some(daemon), &CLUSTER, &[]),
    }
}
