//! Smoke runs of the fuzz targets: each from its seeds for some seconds. Long runs are for people, with cargo-fuzz.

use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow};

use crate::process;
use crate::test::{Skips, Tally};
use crate::tool::Tool;
use crate::workspace::{Workspace, cargo};

/// Enough for some hundred thousand inputs; the sum over all targets is part of every CI run.
const SECONDS: &str = "15";
/// Runs at the same time: CI has two processors.
const AT_ONCE: usize = 2;

const CARGO_FUZZ: Tool<'_> = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    features: &[],
};

/// Where the targets are, outside the workspace: they are built with other flags.
const FOLDER: &str = "tests/fuzz";

pub fn smoke(workspace: &Workspace, skips: &Skips) -> Result<Tally> {
    let folder = workspace.root.join(FOLDER);
    let Ok(manifest) = std::fs::read_to_string(folder.join("Cargo.toml")) else {
        return Ok(Tally::default());
    };
    let targets = targets(&manifest);
    if process::which("c++").is_none() {
        for target in &targets {
            skips.add(
                &format!("fuzz {target}"),
                "libFuzzer needs a C++ compiler: apt-get install g++",
            )?;
        }
        return Ok(Tally {
            passed: targets.len(),
            ..Tally::default()
        });
    }
    let program = CARGO_FUZZ.prepare(workspace)?;
    let mut tally = Tally::default();
    if !build(workspace, &program, &folder)? {
        println!("the fuzz targets cannot be built");
        return Ok(Tally {
            failed: targets.len(),
            ..Tally::default()
        });
    }
    for some in targets.chunks(AT_ONCE) {
        println!("fuzzing {} for {SECONDS} s", some.join(" and "));
        let ended: Vec<Result<bool>> = thread::scope(|scope| {
            let runs: Vec<_> = some
                .iter()
                .map(|target| scope.spawn(|| run(workspace, &program, &folder, target)))
                .collect();
            let lost = |_| Err(anyhow!("a run of a fuzz target panicked"));
            runs.into_iter()
                .map(|run| run.join().unwrap_or_else(lost))
                .collect()
        });
        for (target, ended) in some.iter().zip(ended) {
            if ended? {
                tally.passed += 1;
            } else {
                println!("fuzz {target} failed; the input is in {FOLDER}/artifacts/{target}");
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

/// All targets, so that runs at the same time do not wait for each other's.
fn build(workspace: &Workspace, program: &Path, folder: &Path) -> Result<bool> {
    let mut build = process::command(program);
    build
        .args(["build", "--sanitizer", "none", "--fuzz-dir"])
        .arg(folder)
        .arg("--target-dir")
        .arg(workspace.target.join("fuzz"));
    process::succeeds(build.env("CARGO", cargo()).current_dir(&workspace.root))
}

fn run(workspace: &Workspace, program: &Path, folder: &Path, target: &str) -> Result<bool> {
    // New inputs go to the first directory: seeds that are worth keeping are added to the second by hand.
    let found = workspace.target.join("fuzz-corpus").join(target);
    std::fs::create_dir_all(&found)?;
    let seeds = folder.join("seeds").join(target);
    let mut command = process::command(program);
    // Without a sanitizer, because the code under test forbids `unsafe`; so a stable compiler is enough.
    command
        .args(["run", "--sanitizer", "none", "--fuzz-dir"])
        .arg(folder)
        .arg("--target-dir");
    command.arg(workspace.target.join("fuzz")).arg(target).arg(found);
    command.args(seeds.is_dir().then_some(seeds));
    command.args([
        "--",
        &format!("-max_total_time={SECONDS}"),
        "-verbosity=0",
        // An input that takes this long is a finding; libFuzzer itself would wait for twenty minutes.
        "-timeout=10",
        "-print_final_stats=1",
    ]);
    process::succeeds(command.env("CARGO", cargo()).current_dir(&workspace.root))
}

/// The names of the `[[bin]]`s of a manifest.
fn targets(manifest: &str) -> Vec<&str> {
    let sections = manifest
        .split("\n[")
        .filter_map(|section| section.strip_prefix("[bin]]"));
    sections
        .filter_map(|section| section.lines().find_map(name))
        .collect()
}

fn name(line: &str) -> Option<&str> {
    let (key, value) = line.split_once('=')?;
    (key.trim() == "name").then(|| value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_a_manifest() {
        let manifest = "[package]\nname = \"fuzz\"\n\n[dependencies]\nx = \"1\"\n\n[[bin]]\nname = \"walker\"\n\
                        path = \"walker.rs\"\n\n[[bin]]\npath = \"hpack.rs\"\nname=\"hpack\"\ntest = false\n";
        assert_eq!(targets(manifest), ["walker", "hpack"]);
    }

    #[test]
    fn no_targets() {
        assert!(targets("[package]\nname = \"fuzz\"\n").is_empty());
    }
}
