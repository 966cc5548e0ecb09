//! `cargo xtask cluster`: the proofs of identity and of the chart on a real Kubernetes. Starts a cluster of its own, runs the tests
//! that need one, and stops it, whatever came of them. Not part of `test`, for it takes minutes; `deploy-test` runs the chart's.
//!
//! The cluster itself comes from a script (`get`, `up`, `image`, `kubectl`, `down`), which is no part of this
//! repository: the file that `MARTY_CLUSTER` names, or `shared/cluster.sh` beside the workspace.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::build::{self, DAEMON, KERNEL_OBJECT};
use crate::workspace::{Workspace, cargo};
use crate::{privilege, process};

/// Names the script.
const SCRIPT: &str = "MARTY_CLUSTER";
/// Tells the tests that there is a cluster, and what to speak to it by.
pub const CLUSTER: &str = "OBSERVER_CLUSTER";
const TESTS: [&str; 2] = ["identity_cluster", "deploy_cluster"];

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    if !privilege::is_root() {
        bail!("a cluster on this machine needs root: start `cargo xtask cluster` as root");
    }
    let script = script(workspace).with_context(|| {
        format!("no script that starts a cluster: name one by {SCRIPT} (verbs get, up, image, kubectl, down)")
    })?;
    let daemon = build::given_or_built(workspace)?;
    during(&script, || test(workspace, &script, &daemon, args))
}

/// The script that starts a cluster, where there is one.
pub fn script(workspace: &Workspace) -> Option<PathBuf> {
    let beside = || Some(workspace.root.parent()?.join("shared/cluster.sh"));
    let script = std::env::var_os(SCRIPT).map(PathBuf::from).or_else(beside);
    script.filter(|script| script.is_file())
}

/// Does something while there is a cluster, which is gone afterwards, whatever came of it.
pub fn during<T>(script: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    verb(script, "get")?;
    let done = verb(script, "up").and_then(|()| work());
    verb(script, "down")?;
    done
}

fn verb(script: &Path, verb: &str) -> Result<()> {
    process::run(process::command("bash").arg(script).arg(verb))
}

fn test(workspace: &Workspace, script: &Path, daemon: &Path, args: &[String]) -> Result<ExitCode> {
    let mut test = process::command(cargo());
    test.args(["test", "--package", "tests", "--no-fail-fast"])
        .args(TESTS.iter().flat_map(|name| ["--test", name]))
        .args(build::locked());
    let own = args.iter().skip_while(|arg| *arg != "--").skip(1);
    test.args(["--", "--nocapture", "--test-threads=1"]).args(own);
    test.current_dir(&workspace.root)
        .env(CLUSTER, script)
        .env(DAEMON, daemon);
    // A daemon that was given may have been built elsewhere.
    if workspace.kernel_object().is_file() {
        test.env(KERNEL_OBJECT, workspace.kernel_object());
    }
    let passed = process::succeeds(&mut test)?;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
