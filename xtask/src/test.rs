//! `cargo xtask test`: builds, then runs everything that this machine can run, and closes with what was skipped,
//! why, and one line of sums. What a test could not check is skipped, never passed.

mod fuzz;
mod instructions;
mod tally;
pub mod watchdog;
mod whole_call;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::build::{self, DAEMON, KERNEL_OBJECT, Programs};
use crate::workspace::{Workspace, cargo};
use crate::{privilege, process, truth};
pub use tally::Tally;
use watchdog::MAX_SILENCE;

/// Tests append `test<TAB>reason` lines to the file of this name; see `tests/src/skip.rs`.
pub const SKIPPED: &str = "OBSERVER_SKIPPED";

/// Which tests to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Beside the code; they need nothing.
    Unit,
    /// Crate `tests`: the daemon on this machine's kernel.
    Live,
    /// Each fuzz target for some seconds.
    Fuzz,
    /// What a call costs to decode, in instructions.
    Instructions,
    /// What a whole call costs, in instructions of an emulated machine.
    Guest,
    /// The daemon against what real programs count, in the quick form.
    Truth,
}

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let (parts, libtest) = parse(args)?;
    let skips = Skips::begin(workspace)?;
    let mut tally = Tally::default();
    let daemon = build::build(workspace, Programs::Release)?;
    for part in parts {
        tally += match part {
            Part::Unit => unit(workspace, &skips, libtest)?,
            Part::Live => live(workspace, &skips, &daemon, libtest)?,
            Part::Fuzz => fuzz::smoke(workspace, &skips)?,
            Part::Instructions => instructions::guard(workspace, &skips)?,
            Part::Guest => whole_call::guard(workspace, &skips, &daemon)?,
            Part::Truth => quick_truth(workspace, &skips, &daemon)?,
        };
    }
    close(&skips, tally)
}

/// Names what was skipped and sums up.
pub fn close(skips: &Skips, mut tally: Tally) -> Result<ExitCode> {
    let skipped = skips.read()?;
    for (test, reason) in &skipped {
        println!("SKIPPED {test}: {reason}");
    }
    tally.skip(skipped.len());
    // The last line, in the form that tools which read test runs know.
    println!("{tally}");
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn parse(args: &[String]) -> Result<(Vec<Part>, &[String])> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let mut parts = Vec::new();
    for arg in &args[..end] {
        parts.push(match arg.as_str() {
            "--unit" => Part::Unit,
            "--live" => Part::Live,
            "--fuzz" => Part::Fuzz,
            "--instructions" => Part::Instructions,
            "--guest" => Part::Guest,
            "--truth" => Part::Truth,
            other => bail!(
                "`cargo xtask test` knows --unit, --live, --fuzz, --instructions, --guest, --truth and, behind --, libtest's; not `{other}`"
            ),
        });
    }
    if parts.is_empty() {
        parts = vec![
            Part::Unit,
            Part::Live,
            Part::Truth,
            Part::Fuzz,
            Part::Instructions,
            Part::Guest,
        ];
    }
    Ok((parts, &args[end..]))
}

fn unit(workspace: &Workspace, skips: &Skips, libtest: &[String]) -> Result<Tally> {
    let mut test = cargo_test(workspace, skips);
    test.args(["--workspace", "--exclude", "tests"]).args(libtest);
    tally::run("unit tests", &mut test, MAX_SILENCE)
}

/// Some programs of crate `tests`, with variables of their own; without a daemon only what needs none.
pub fn of(
    workspace: &Workspace,
    skips: &Skips,
    daemon: Option<&PathBuf>,
    programs: &[&str],
    environment: &[(&str, &Path)],
) -> Result<Tally> {
    let mut test = cargo_test(workspace, skips);
    test.args(["--package", "tests"])
        .envs(environment.iter().copied());
    for program in programs {
        test.args(["--test", program]);
    }
    match daemon {
        Some(daemon) => test.env(DAEMON, daemon),
        // Nothing was built for the kernel, so there may be no object to name.
        None => test.env_remove(KERNEL_OBJECT),
    };
    run_live(test, skips, &[])
}

fn live(workspace: &Workspace, skips: &Skips, daemon: &PathBuf, libtest: &[String]) -> Result<Tally> {
    let mut test = cargo_test(workspace, skips);
    test.args(["--package", "tests"]).env(DAEMON, daemon);
    run_live(test, skips, libtest)
}

/// As root, which attaching needs.
fn run_live(mut test: Command, skips: &Skips, libtest: &[String]) -> Result<Tally> {
    if !privilege::is_root() {
        let Some(sudo) = process::which("sudo") else {
            return skip_live(test, skips);
        };
        // Cargo itself stays who it is, or its files would be root's.
        let runner = format!("{} --preserve-env", sudo.display());
        test.env(format!("CARGO_TARGET_{}_RUNNER", host_in_capitals()?), runner);
    }
    // One at a time: they share the machine's cgroups and its two clocks, load and loss.
    test.args(one_at_a_time(libtest));
    tally::run("live tests", &mut test, MAX_SILENCE)
}

fn one_at_a_time(libtest: &[String]) -> Vec<String> {
    let mut args = libtest.to_vec();
    if args.is_empty() {
        args.push(String::from("--"));
    }
    args.push(String::from("--test-threads=1"));
    args
}

/// The whole table is one test, and each cell that was skipped another; it prints what is wrong itself.
fn quick_truth(workspace: &Workspace, skips: &Skips, daemon: &Path) -> Result<Tally> {
    let before = skips.read()?.len();
    if !privilege::is_root() && process::which("sudo").is_none() {
        skips.add("truth --quick", "it needs root, and there is no sudo here")?;
        return Ok(Tally {
            passed: 1,
            ..Tally::default()
        });
    }
    let quick = [String::from("--quick")];
    let is_right = truth::judge(workspace, daemon, &quick, Some(&skips.file), truth::MAX_QUICK)?;
    // The sum counts a skip as one that had passed before.
    let skipped = skips.read()?.len() - before;
    Ok(Tally {
        passed: usize::from(is_right) + skipped,
        failed: usize::from(!is_right),
        ..Tally::default()
    })
}

/// Names every live test as skipped.
fn skip_live(mut list: Command, skips: &Skips) -> Result<Tally> {
    let listed = process::output(list.args(["--", "--list", "--format=terse"]))?;
    let tests: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    for test in &tests {
        skips.add(test, "it needs root, and there is no sudo here")?;
    }
    // The sum counts a skip as one that had passed before.
    Ok(Tally {
        passed: tests.len(),
        ..Tally::default()
    })
}

fn cargo_test(workspace: &Workspace, skips: &Skips) -> Command {
    let mut command = process::command(cargo());
    command
        .args(["test", "--no-fail-fast"])
        .args(build::locked())
        .current_dir(&workspace.root);
    command
        .env(SKIPPED, &skips.file)
        .env(KERNEL_OBJECT, workspace.kernel_object());
    command
}

/// The host's target triple, as cargo spells it in environment variables.
fn host_in_capitals() -> Result<String> {
    let about = process::output(process::command("rustc").arg("-vV"))?;
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc names no host")?;
    Ok(host.to_uppercase().replace(['-', '.'], "_"))
}

/// The list of skipped tests: a file, because libtest hides what passing tests print.
#[derive(Debug)]
pub struct Skips {
    file: PathBuf,
}

impl Skips {
    pub fn begin(workspace: &Workspace) -> Result<Self> {
        let file = workspace.target.join("skipped.txt");
        std::fs::create_dir_all(&workspace.target)?;
        std::fs::write(&file, "").with_context(|| format!("{} cannot be written", file.display()))?;
        Ok(Self { file })
    }

    pub fn add(&self, test: &str, reason: &str) -> Result<()> {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.file)?;
        Ok(file.write_all(format!("{test}\t{reason}\n").as_bytes())?)
    }

    fn read(&self) -> Result<BTreeMap<String, String>> {
        Ok(reasons(&std::fs::read_to_string(&self.file)?))
    }
}

/// One reason for every test, the first that it gave.
fn reasons(lines: &str) -> BTreeMap<String, String> {
    let mut reasons = BTreeMap::new();
    for line in lines.lines() {
        let (test, reason) = line.split_once('\t').unwrap_or((line, "no reason given"));
        reasons
            .entry(test.to_owned())
            .or_insert_with(|| reason.to_owned());
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_by_default() {
        let all = [
            Part::Unit,
            Part::Live,
            Part::Truth,
            Part::Fuzz,
            Part::Instructions,
            Part::Guest,
        ];
        assert_eq!(parse(&[]).unwrap().0, all);
    }

    #[test]
    fn one_part_with_a_filter() {
        let args = words(&["--live", "--", "restart"]);
        let (parts, libtest) = parse(&args).unwrap();
        assert_eq!(parts, [Part::Live]);
        assert_eq!(one_at_a_time(libtest), ["--", "restart", "--test-threads=1"]);
        assert_eq!(one_at_a_time(&[]), ["--", "--test-threads=1"]);
    }

    #[test]
    fn an_unknown_part() {
        assert!(
            parse(&words(&["--all"]))
                .unwrap_err()
                .to_string()
                .contains("--all")
        );
    }

    #[test]
    fn a_test_that_skips_twice_counts_once() {
        let found = reasons("veth_ipv6\tno ip\nveth_ipv6\tno netns\nold_kernel\tno qemu\nbare\n");
        let found: Vec<(&str, &str)> = found.iter().map(|(test, reason)| (&**test, &**reason)).collect();
        assert_eq!(
            found,
            [
                ("bare", "no reason given"),
                ("old_kernel", "no qemu"),
                ("veth_ipv6", "no ip")
            ]
        );
    }
}
