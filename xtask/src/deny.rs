//! Licences, sources, duplicate versions and known vulnerabilities of the dependencies, by cargo-deny as
//! `deny.toml` says. The vulnerabilities are a database on the network: where it cannot be fetched and no copy
//! is here, that one check is skipped, aloud.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::tool::Tool;
use crate::workspace::{Workspace, cargo};
use crate::{build, process};

/// Without its default features it needs no TLS library: it fetches by the git that is there.
const CARGO_DENY: Tool<'_> = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    features: &[],
};

pub fn check(workspace: &Workspace) -> Result<bool> {
    let program = CARGO_DENY.prepare(workspace)?;
    let mut rules = deny(workspace, &program);
    // Not offline: crates for other platforms than this one may have to be downloaded to be read.
    rules.args(build::locked());
    rules.args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]);
    let rules = process::succeeds(&mut rules)?;
    Ok(advisories(workspace, &program)? && rules)
}

fn advisories(workspace: &Workspace, program: &Path) -> Result<bool> {
    let mut fetch = deny(workspace, program);
    if let Err(error) = process::output(fetch.args(["fetch", "db"])) {
        if !has_copy() {
            println!("SKIPPED advisories: {}", reason(&format!("{error:#}")));
            return Ok(true);
        }
        println!("advisories: the database could not be renewed; checking against the copy that is here");
    }
    let mut check = deny(workspace, program);
    process::succeeds(check.args(["--offline", "check", "advisories"]))
}

/// Whether an earlier run has fetched the database, to where cargo-deny keeps it.
fn has_copy() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let Some(Ok(copies)) = home.map(|home| home.join("advisory-dbs").read_dir()) else {
        return false;
    };
    copies.flatten().any(|copy| copy.path().join("crates").is_dir())
}

/// The line that says most of a failed fetch.
fn reason(error: &str) -> &str {
    let fatal = error.lines().find_map(|line| line.trim().strip_prefix("fatal: "));
    fatal
        .or_else(|| error.lines().next())
        .unwrap_or("the database could not be fetched")
}

fn deny(workspace: &Workspace, program: &Path) -> Command {
    let mut command = process::command(program);
    command
        .env("CARGO", cargo())
        .env("GIT_TERMINAL_PROMPT", "0")
        // A transfer that stands still for a minute has failed.
        .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
        .env("GIT_HTTP_LOW_SPEED_TIME", "60")
        .current_dir(&workspace.root);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_says_why_it_could_not_fetch() {
        let error =
            "`cargo-deny fetch db` failed: x\nCloning into 'y'...\nfatal: unable to access: no host\n";
        assert_eq!(reason(error), "unable to access: no host");
    }

    #[test]
    fn something_else_says_why() {
        assert_eq!(reason("one line\nanother"), "one line");
    }
}
