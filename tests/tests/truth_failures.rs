//! What the truth does when something goes wrong in it: the row fails, with what is needed to see it again, and the run
//! goes on.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tests::observer;
use tests::prerequisite::or_skip;
use tests::truth::act;
use tests::truth::dump;
use tests::truth::options::Options;
use tests::truth::run::Run;
use tests::truth::situation::{self, Situation};
use tests::truth::stage::{Round, Stage};
use tests::workload::Language;

/// An observer that dies under the programs.
fn crash(stage: &mut Stage<'_>) -> Result<Round> {
    stage.watch.kill()?;
    act::plain(stage)
}

/// Programs that say that they made a call more than they did.
fn boast(stage: &mut Stage<'_>) -> Result<Round> {
    let mut round = act::plain(stage)?;
    let end = round.server.values_mut().next().context("no call")?;
    *end += 1;
    Ok(round)
}

#[test]
fn a_row_that_fails_is_told_and_the_next_one_runs() -> Result<()> {
    let test = "a_row_that_fails_is_told_and_the_next_one_runs";
    let prepared = Language::Rust.prepare().and_then(|_| observer::prepare());
    if or_skip(test, prepared).is_none() || or_skip(test, dump::prepare()).is_none() {
        return Ok(());
    }
    let arguments = "--situation one-stream --implementation tonic --client tonic --seed 7".split(' ');
    let arguments: Vec<String> = arguments.map(str::to_owned).collect();
    let mut run = Run::prepare(Options::parse(&arguments, 0)?)?;
    let plain = situation::ALL
        .iter()
        .find(|one| one.name == "one-stream")
        .context("no such situation")?;

    let crashed = run.turn(&Situation { act: crash, ..*plain }, 0)?;
    let [failure] = crashed.failures.as_slice() else {
        anyhow::bail!("one pair failed: {crashed:?}");
    };
    ensure!(failure.contains("the observer has ended (signal: 9"), "{failure}");

    let wrong = run.turn(&Situation { act: boast, ..*plain }, 0)?;
    let [failure] = wrong.failures.as_slice() else {
        anyhow::bail!("one pair failed: {wrong:?}");
    };
    let again =
        "again: cargo xtask truth --situation one-stream --seed 7 --implementation tonic --client tonic";
    ensure!(failure.contains(again), "{failure}");
    // What was kept shows what the programs really did.
    let (_, rest) = failure
        .split_once("packets: observer replay ")
        .context("no packets")?;
    // It is told from the workspace on, and tests run in their crate.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("no workspace")?;
    let capture = workspace.join(rest.lines().next().context("no file")?);
    ensure!(replayed(&capture)? == wrong.server.right, "{failure}");
    std::fs::remove_file(capture)?;

    let right = run.turn(plain, 0)?;
    ensure!(
        !right.has_failed() && right.server.made > 0 && right.server.made == right.server.right,
        "{right:?}"
    );
    Ok(())
}

/// How many calls a capture has, by the observer's own word.
fn replayed(capture: &Path) -> Result<u64> {
    let daemon = observer::prepare().map_err(|error| anyhow::anyhow!(error))?;
    let mut replay = Command::new(daemon);
    let told = replay
        .arg("replay")
        .arg(capture)
        .args(["--format", "prometheus"])
        .output()?;
    ensure!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stderr).trim_end()
    );
    let scrape = tests::scrape::Scrape::parse(&String::from_utf8(told.stdout)?)?;
    let calls = scrape.sum("marty_grpc_requests_total", &[]).round();
    Ok(format!("{calls}").parse()?)
}
