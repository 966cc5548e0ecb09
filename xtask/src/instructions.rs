//! Instructions that userspace spends on a call, counted by callgrind: the same on every run whatever else the
//! machine does, so that a change which makes calls dearer is seen without measuring time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, cargo};
use crate::{build, packages, process};

const FORMS: [&str; 5] = ["indexed", "deadline", "literal", "traced", "inserted_anew"];
const AT_ONCE: [u32; 2] = [1, 100];
/// Numbers of batches, and calls in one. Each run has the same beginning; only the difference is calls.
const BATCHES: [u64; 2] = [10, 40];
const BATCH: u64 = 100;

const BASELINE: &str = "observer/benches/instructions.txt";
/// In per cent. The C library chooses its copying routines by the CPU, which is a few instructions a call.
const TOLERANCE: u64 = 4;

/// What one way of calling costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    pub form: String,
    pub at_once: u32,
    pub instructions: u64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:14}{:4}{:8}", self.form, self.at_once, self.instructions)
    }
}

/// The committed figures, and the compiler that they hold for.
#[derive(Debug, PartialEq, Eq)]
pub struct Baseline {
    compiler: String,
    costs: Vec<Cost>,
}

/// How a figure compares with the committed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Same,
    Lower,
    Higher,
    /// There is no committed figure.
    New,
}

impl Baseline {
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let path = workspace.root.join(BASELINE);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("{BASELINE} is damaged"))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let compiler = lines.next().and_then(|line| line.strip_prefix("# "));
        let compiler = compiler.context("the first line names no compiler")?;
        let costs = lines.filter(|line| !line.starts_with('#')).map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [form, at_once, instructions] = words.as_slice() else {
                bail!("not a figure: `{line}`");
            };
            Ok(Cost {
                form: (*form).to_owned(),
                at_once: at_once.parse()?,
                instructions: instructions.parse()?,
            })
        });
        Ok(Self {
            compiler: compiler.to_owned(),
            costs: costs.collect::<Result<_>>()?,
        })
    }

    /// Why the figures say nothing here, if so.
    pub fn is_foreign(&self) -> Result<Option<String>> {
        let here = compiler()?;
        Ok((here != self.compiler)
            .then(|| format!("the figures are of {}, and this is {here}", self.compiler)))
    }

    pub fn compare(&self, cost: &Cost) -> Change {
        let before = self
            .costs
            .iter()
            .find(|known| known.form == cost.form && known.at_once == cost.at_once);
        match before.map(|known| known.instructions) {
            None => Change::New,
            Some(before) if cost.instructions * 100 > before * (100 + TOLERANCE) => Change::Higher,
            Some(before) if cost.instructions * 100 < before * (100 - TOLERANCE) => Change::Lower,
            Some(_) => Change::Same,
        }
    }
}

/// `cargo xtask bench --instructions`: measures and writes the figures down.
pub fn command(workspace: &Workspace) -> Result<ExitCode> {
    prepare()?;
    let costs = measure(workspace)?;
    let mut text = format!(
        "# {}\n# form, calls at once, instructions a call at one socket, from the ring's bytes to the counters\n",
        compiler()?
    );
    for cost in &costs {
        writeln!(text, "{cost}")?;
    }
    print!("{text}");
    std::fs::write(workspace.root.join(BASELINE), text)?;
    println!("written to {BASELINE}");
    Ok(ExitCode::SUCCESS)
}

/// Installs callgrind, or says how to.
pub fn prepare() -> Result<()> {
    if process::which("valgrind").is_some() {
        return Ok(());
    }
    packages::install(&["valgrind"], "counting instructions")
}

pub fn measure(workspace: &Workspace) -> Result<Vec<Cost>> {
    let program = build_counted(workspace)?;
    let ways = FORMS
        .iter()
        .flat_map(|form| AT_ONCE.map(|at_once| (*form, at_once)));
    let mut costs = Vec::new();
    for (form, at_once) in ways {
        let [few, many] = BATCHES.map(|batches| count(&program, form, at_once, batches));
        let [less, more] = BATCHES.map(|batches| batches * BATCH);
        costs.push(Cost {
            form: form.to_owned(),
            at_once,
            instructions: many?.saturating_sub(few?) / (more - less),
        });
    }
    Ok(costs)
}

fn build_counted(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = process::command(cargo());
    cargo
        .args([
            "build",
            "--release",
            "--package",
            "observer",
            "--bin",
            "instructions",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .args(build::locked())
        .current_dir(&workspace.root);
    // Decoding needs no kernel object. Where there is one, with it the daemon need not be built anew for this.
    let object = workspace.kernel_object();
    if object.is_file() {
        cargo.env(build::KERNEL_OBJECT, object);
    }
    // What cargo says about its progress goes where xtask's goes.
    let output = cargo.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("`{}` failed; its output above says why", process::shown(&cargo));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let program = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == "instructions";
        is_it.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    program.context("cargo built no program `instructions`")
}

fn count(program: &Path, form: &str, at_once: u32, batches: u64) -> Result<u64> {
    let mut run = process::command("valgrind");
    run.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([form, &at_once.to_string(), &batches.to_string()]);
    let output = run.output().context("valgrind could not be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let answer = String::from_utf8_lossy(&output.stdout);
    let calls = batches * BATCH + 1;
    if !output.status.success() || answer.trim() != format!("{calls} calls") {
        bail!("`{}` counted {}: {said}", process::shown(&run), answer.trim());
    }
    collected(&said).with_context(|| format!("valgrind counted nothing: {said}"))
}

/// Valgrind's `==812== Collected : 123456`.
fn collected(said: &str) -> Option<u64> {
    let (_, count) = said.lines().find_map(|line| line.split_once("Collected :"))?;
    count.trim().parse().ok()
}

fn compiler() -> Result<String> {
    let version = process::output(process::command("rustc").arg("-V"))?;
    Ok(format!("{}, {}", version.trim(), std::env::consts::ARCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrind_says_the_sum() {
        assert_eq!(collected("==1== \n==1== Collected : 2412\n"), Some(2412));
        assert_eq!(collected("==1== I   refs:      2,412\n"), None);
    }

    #[test]
    fn figures_are_compared_with_tolerance() {
        let baseline = Baseline::parse("# rustc 1.95.0\n# a comment\nindexed 1 1000\n").unwrap();
        let check = |form: &str, instructions, expected| {
            let cost = Cost {
                form: form.to_owned(),
                at_once: 1,
                instructions,
            };
            assert_eq!(baseline.compare(&cost), expected, "{cost}");
        };
        check("indexed", 1000, Change::Same);
        check("indexed", 1040, Change::Same);
        check("indexed", 1041, Change::Higher);
        check("indexed", 959, Change::Lower);
        check("literal", 1000, Change::New);
    }

    #[test]
    fn damaged_figures_are_refused() {
        for text in [
            "",
            "indexed 1 1000\n",
            "# rustc\nindexed 1\n",
            "# rustc\nindexed 1 many\n",
        ] {
            assert!(Baseline::parse(text).is_err(), "{text:?}");
        }
    }
}
