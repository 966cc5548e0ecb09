//! `observer check --targets`: what is probed on this machine now, and of what is not, why.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::{Act, Found, Judged, Reason, Scout};
use crate::probe::privilege::{Capabilities, Capability};

/// Files of now, those of most processes first.
#[derive(Debug)]
pub struct Report {
    judged: Vec<Judged>,
    /// Processes that were not let in.
    hidden: u32,
    refused: u64,
    /// `None`: procfs does not say.
    capabilities: Option<Capabilities>,
}

/// What is needed of the system for this alone, with `CAP_SYS_ADMIN` as the older way to the second.
const WANTED: [Capability; 2] = [Capability::SysPtrace, Capability::CheckpointRestore];

impl Report {
    /// Goes through all processes.
    #[must_use]
    pub fn of_now() -> Self {
        let mut scout = Scout::new();
        drop(scout.scan());
        let mut judged: Vec<_> = scout.judged().cloned().collect();
        judged.sort_by(|one, other| {
            other
                .processes
                .cmp(&one.processes)
                .then_with(|| one.shown.cmp(&other.shown))
        });
        Self {
            judged,
            hidden: scout.hidden(),
            refused: scout.refused(),
            capabilities: Capabilities::effective(),
        }
    }

    /// For people, or for machines.
    #[must_use]
    pub fn text(&self, json: bool) -> String {
        if json {
            format!("{:#}\n", self.json())
        } else {
            self.plain()
        }
    }

    fn missing(&self) -> Vec<Capability> {
        let Some(has) = self.capabilities else {
            return Vec::new();
        };
        let stands_in = |wanted| wanted == Capability::CheckpointRestore && has.has(Capability::SysAdmin);
        let lacks = |wanted: &Capability| !(has.has(*wanted) || stands_in(*wanted));
        WANTED.into_iter().filter(lacks).collect()
    }

    fn found(&self) -> impl Iterator<Item = (&Judged, &Found)> {
        let all = self.judged.iter();
        all.flat_map(|judged| judged.verdicts.iter().flatten().map(move |found| (judged, found)))
    }

    fn skipped(&self) -> impl Iterator<Item = (&Judged, &Reason)> {
        let all = self.judged.iter();
        all.flat_map(|judged| {
            let reasons = judged
                .verdicts
                .iter()
                .filter_map(|verdict| verdict.as_ref().err());
            reasons.map(move |reason| (judged, reason))
        })
    }

    fn json(&self) -> Value {
        let target = |(judged, found): (&Judged, &Found)| {
            json!({
                "path": judged.shown.to_string_lossy(),
                "library": found.library,
                "version": found.version,
                "processes": judged.processes,
                "points": counts(found),
                "client_random": found.random,
            })
        };
        let skipped = |(judged, reason): (&Judged, &Reason)| {
            json!({
                "path": judged.shown.to_string_lossy(),
                "processes": judged.processes,
                "reason": reason.to_string(),
            })
        };
        let missing = self.missing().into_iter();
        json!({
            "targets": self.found().map(target).collect::<Vec<_>>(),
            "skipped": self.skipped().map(skipped).collect::<Vec<_>>(),
            "files": self.judged.len(),
            "files_refused": self.refused,
            "hidden_processes": self.hidden,
            "missing_capabilities": missing.map(Capability::name).collect::<Vec<_>>(),
        })
    }

    fn plain(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| text.extend([line.as_str(), "\n"]);
        for (judged, found) in self.found() {
            let version = found.version.as_deref().unwrap_or("of unknown version");
            let points = counts(found);
            let points = points.iter().map(|(act, count)| match count {
                1 => act.clone(),
                more => format!("{act} ({more})"),
            });
            line(format!("probed   {}", printable(&judged.shown)));
            line(format!(
                "         {} {version}, in {}",
                found.library.name(),
                processes(judged.processes)
            ));
            line(format!("         at {}", points.collect::<Vec<_>>().join(", ")));
        }
        for (judged, reason) in self.skipped() {
            line(format!("skipped  {}", printable(&judged.shown)));
            line(format!("         in {}", processes(judged.processes)));
            line(format!("         -> {reason}"));
        }
        for missing in self.missing() {
            line(format!("missing  {missing}: needed for {}", missing.purpose()));
        }
        if self.hidden > 0 {
            line(format!(
                "hidden   {}: their mappings cannot be read",
                processes(self.hidden)
            ));
        }
        if self.refused > 0 {
            line(format!(
                "refused  {} files: more are mapped than are kept in mind",
                self.refused
            ));
        }
        let targets = self.found().count();
        line(format!(
            "{} files with code are mapped, {targets} would be probed.",
            self.judged.len()
        ));
        text
    }
}

/// Paths are others' choice, and a terminal obeys control characters.
fn printable(path: &Path) -> String {
    let text = path.to_string_lossy();
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

fn processes(count: u32) -> String {
    if count == 1 {
        "1 process".to_owned()
    } else {
        format!("{count} processes")
    }
}

/// How many points of each kind, by the kind's name in JSON.
fn counts(found: &Found) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for point in &found.points {
        *counts.entry(name(point.act)).or_default() += 1;
    }
    counts
}

fn name(act: Act) -> String {
    let value = serde_json::to_value(act).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
