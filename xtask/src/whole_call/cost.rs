//! What a call costs in the machine, and the committed figures that it is compared with.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// Also read by `tests/src/overhead/page.rs`, for the page.
const BASELINE: &str = "observer/benches/whole_call.txt";
/// In per cent of what the observer adds. The same programs give the same count; others are laid out differently, and
/// a call more or less falls between two looks at the ring.
const TOLERANCE: u64 = 8;
/// Of the pair's own instructions one in so many is beyond us: where it sleeps, which segments are acknowledged together.
const OWN_SHARE: u64 = 200;
/// Instructions of whatever goes by time, which is shared by few or many calls.
const BY_TIME: u64 = 400;

/// Instructions of a call, by whom and how it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    pub language: String,
    pub at_once: u32,
    /// Of the whole machine, without the observer.
    pub without: u64,
    /// With the kernel programs alone: nobody reads what they tell.
    pub unread: u64,
    pub with: u64,
    /// The part of the daemon's threads in the latter.
    pub daemon: u64,
}

impl Cost {
    /// The line of the program that counts.
    pub fn told(line: &str) -> Option<Self> {
        Self::parse(line.trim().strip_prefix("counted: ")?)
    }

    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [language, at_once, without, unread, with, daemon] = words.as_slice() else {
            return None;
        };
        Some(Self {
            language: (*language).to_owned(),
            at_once: at_once.parse().ok()?,
            without: without.parse().ok()?,
            unread: unread.parse().ok()?,
            with: with.parse().ok()?,
            daemon: daemon.parse().ok()?,
        })
    }

    /// Whether it is of the same kind of call.
    pub fn is_like(&self, other: &Self) -> bool {
        self.language == other.language && self.at_once == other.at_once
    }

    fn added(&self) -> u64 {
        self.with.saturating_sub(self.without)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            language,
            at_once,
            without,
            unread,
            with,
            daemon,
        } = self;
        write!(
            f,
            "{language:8}{at_once:5}{without:9}{unread:9}{with:9}{daemon:7}"
        )
    }
}

/// How a count compares with the committed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Same,
    Lower,
    Higher,
    /// There is no committed figure.
    New,
}

/// The committed figures, and what they hold for.
#[derive(Debug, PartialEq, Eq)]
pub struct Baseline {
    pub kernel: String,
    pub compiler: String,
    pub costs: Vec<Cost>,
}

impl Baseline {
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let path = path(workspace);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("{BASELINE} is damaged"))
    }

    pub fn write(&self, workspace: &Workspace) -> Result<()> {
        std::fs::write(path(workspace), self.to_string())?;
        println!("written to {BASELINE}");
        Ok(())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let head = lines.next().and_then(|line| line.strip_prefix("# Linux "));
        let (kernel, compiler) = head
            .and_then(|head| head.split_once(", "))
            .context("the first line names no kernel and no compiler")?;
        let mut costs = Vec::new();
        for line in lines.filter(|line| !line.starts_with('#')) {
            match Cost::parse(line) {
                Some(cost) => costs.push(cost),
                None => bail!("not a figure: `{line}`"),
            }
        }
        Ok(Self {
            kernel: kernel.to_owned(),
            compiler: compiler.to_owned(),
            costs,
        })
    }

    /// Those of one language.
    pub fn of<'a>(&'a self, language: &'a str) -> impl Iterator<Item = &'a Cost> {
        self.costs.iter().filter(move |cost| cost.language == language)
    }

    /// Whichever of the two parts has changed more counts.
    pub fn compare(&self, cost: &Cost) -> Change {
        let before = self.costs.iter().find(|known| known.is_like(cost));
        let Some(before) = before else {
            return Change::New;
        };
        let own = before.without / OWN_SHARE;
        let parts = [
            (before.added(), cost.added(), own),
            (before.daemon, cost.daemon, 0),
        ];
        let slack = |before: u64, own: u64| before * TOLERANCE / 100 + own + BY_TIME;
        if parts
            .iter()
            .any(|(before, now, own)| *now > before + slack(*before, *own))
        {
            Change::Higher
        } else if parts
            .iter()
            .any(|(before, now, own)| now + slack(*before, *own) < *before)
        {
            Change::Lower
        } else {
            Change::Same
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kernel,
            compiler,
            costs,
        } = self;
        writeln!(f, "# Linux {kernel}, {compiler}")?;
        writeln!(
            f,
            "# what, calls at once, instructions of each without the observer, with its kernel programs, with all, of the daemon"
        )?;
        costs.iter().try_for_each(|cost| writeln!(f, "{cost}"))
    }
}

fn path(workspace: &Workspace) -> PathBuf {
    workspace.root.join(BASELINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(with: u64, daemon: u64) -> Cost {
        Cost {
            language: "tonic".to_owned(),
            at_once: 1,
            without: 100_000,
            unread: with - daemon,
            with,
            daemon,
        }
    }

    #[test]
    fn lines_of_the_machine() {
        let told = Cost::told("counted: tonic 1 100000 103500 106000 2500\r");
        assert_eq!(told, Some(cost(106_000, 2_500)));
        assert_eq!(Cost::told("counted: tonic 1"), None);
        assert_eq!(Cost::told("tonic 1 100000 103500 106000 2500"), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let baseline = Baseline {
            kernel: "6.12".to_owned(),
            compiler: "rustc 1.95.0, x86_64".to_owned(),
            costs: vec![cost(106_000, 2_500)],
        };
        assert_eq!(Baseline::parse(&baseline.to_string()).unwrap(), baseline);
        for damaged in ["", "# Linux 6.12\n", "# Linux 6.12, rustc\ntonic 1\n"] {
            assert!(Baseline::parse(damaged).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn each_part_is_guarded() {
        let baseline = Baseline {
            kernel: String::new(),
            compiler: String::new(),
            costs: vec![cost(110_000, 2_500)],
        };
        let check =
            |with, daemon, expected| assert_eq!(baseline.compare(&cost(with, daemon)), expected, "{with}");
        // 8 % of 10,000, 0.5 % of 100,000, and 400; of the daemon's 2,500, 200 and 400.
        check(111_700, 2_500, Change::Same);
        check(111_701, 2_500, Change::Higher);
        check(110_000, 3_100, Change::Same);
        check(110_000, 3_101, Change::Higher);
        check(108_299, 2_500, Change::Lower);
        check(108_299, 3_101, Change::Higher);
        let other = Cost {
            at_once: 100,
            ..cost(110_000, 2_500)
        };
        assert_eq!(baseline.compare(&other), Change::New);
    }
}
