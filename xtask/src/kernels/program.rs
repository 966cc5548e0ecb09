//! What the guests of one architecture run, as static programs: they have no libraries.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::architecture::Architecture;
use super::suite;
use crate::build;
use crate::dist::program::{self, Target};
use crate::process;
use crate::workspace::{Workspace, cargo};

/// Programs from all over the test suite would take each kernel minutes; these have all that differs between kernels: what is
/// captured, names by the cgroups, of which guests have those of v2 alone, and what is read of the kernel's own memory.
const CAPTURE: &str = "capture_exchange";
const NAMES: &str = "identity_kubernetes";
const CHANGES: &str = "socket_changes";
/// The target is always named, so that these are not the flags of build scripts.
const STATIC: &str = "-Ctarget-feature=+crt-static";

#[derive(Debug)]
pub struct Programs {
    pub capture: PathBuf,
    pub names: PathBuf,
    pub changes: PathBuf,
    /// Of the machine it knows the byte order and, inside of processes, the registers.
    pub object: PathBuf,
    pub daemon: PathBuf,
    /// The program that judges, and the peer that it starts.
    pub truth: PathBuf,
    pub peer: PathBuf,
    /// One whose TLS the observer can look into.
    pub go_peer: PathBuf,
    pub busybox: PathBuf,
}

impl Programs {
    pub fn build(
        workspace: &Workspace,
        architecture: Architecture,
        object: PathBuf,
        busybox: PathBuf,
    ) -> Result<Self> {
        architecture.standard_library()?;
        let daemon = daemon(workspace, architecture, &object)?;
        let capture = static_test(workspace, architecture, CAPTURE)?;
        let names = static_test(workspace, architecture, NAMES)?;
        let changes = static_test(workspace, architecture, CHANGES)?;
        let parts = [
            "build",
            "--package",
            "tests",
            "--bin",
            "truth",
            "--bin",
            "tonic-peer",
        ];
        process::run(&mut static_build(workspace, architecture, &parts))?;
        let built = workspace
            .target
            .join("static")
            .join(architecture.target())
            .join("debug");
        Ok(Self {
            capture,
            names,
            changes,
            object,
            daemon,
            truth: built.join("truth"),
            peer: built.join("tonic-peer"),
            go_peer: go_peer(workspace, architecture)?,
            busybox,
        })
    }
}

/// As it is released.
fn daemon(workspace: &Workspace, architecture: Architecture, object: &std::path::Path) -> Result<PathBuf> {
    match architecture {
        Architecture::X86 => program::build(workspace, object),
        Architecture::Arm => {
            let target = Target {
                name: architecture.target().to_owned(),
                is_musl: true,
            };
            program::build_for(workspace, object, &target, |build| architecture.cross(build))
        }
    }
}

/// grpc-go's, by this machine's compiler of Go, which builds for every processor.
fn go_peer(workspace: &Workspace, architecture: Architecture) -> Result<PathBuf> {
    let mut asked = process::command(cargo());
    asked
        .args(["run", "--quiet", "--package", "tests", "--bin", "truth"])
        .args(build::locked())
        .args(["--", "--programs", "--implementation", suite::ENCRYPTED])
        .current_dir(&workspace.root)
        .env("GOARCH", architecture.debian());
    let told = process::output(&mut asked)?;
    let path = told
        .lines()
        .find_map(|line| line.strip_prefix(suite::ENCRYPTED)?.strip_prefix('='));
    path.map(PathBuf::from)
        .with_context(|| format!("{} cannot be had here", suite::ENCRYPTED))
}

/// A cargo command whose programs need nothing.
fn static_build(workspace: &Workspace, architecture: Architecture, arguments: &[&str]) -> Command {
    let mut build = process::command(cargo());
    build
        .args(arguments)
        .args(["--target", architecture.target(), "--target-dir"])
        .arg(workspace.target.join("static"))
        .args(build::locked());
    build.env("RUSTFLAGS", STATIC).current_dir(&workspace.root);
    architecture.cross(&mut build);
    // Emulation makes programs slow enough; and what is not there need not be unpacked.
    build
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    build
}

/// A test as such a program.
fn static_test(workspace: &Workspace, architecture: Architecture, test: &str) -> Result<PathBuf> {
    let arguments = ["test", "--package", "tests", "--test", test, "--no-run"];
    let mut build = static_build(workspace, architecture, &arguments);
    build.args(["--message-format", "json-render-diagnostics"]);
    println!(
        "building {test} as a static program for {}",
        architecture.target()
    );
    let messages = process::output(&mut build)?;
    executable(&messages, test).context("cargo built no test program")
}

/// The program among cargo's messages.
fn executable(messages: &str, test: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == test)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_among_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"tests\"},\"executable\":null}\n\
            {\"target\":{\"name\":\"capture_exchange\"},\"executable\":\"/t/capture_exchange-1\"}\nnoise\n";
        assert_eq!(
            executable(messages, CAPTURE),
            Some(PathBuf::from("/t/capture_exchange-1"))
        );
        assert_eq!(executable("{}", CAPTURE), None);
    }
}
