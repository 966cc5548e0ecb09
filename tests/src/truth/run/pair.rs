//! One pair of programs in a run: played, and told if it fails, with what is needed to see it again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Run;
use crate::capture::random::Random;
use crate::namespace::Pair;
use crate::prerequisite::Error;
use crate::truth::cell::{self, Cell};
use crate::truth::counts::Counts;
use crate::truth::dump::Dump;
use crate::truth::settled;
use crate::truth::situation::Situation;
use crate::truth::stage::Stage;
use crate::truth::watch::Watch;
use crate::workload::{Language, Program, cache, certificates};

impl Run {
    /// Plays one pair, and adds what came of it to its cell.
    pub(super) fn pair(
        &mut self,
        situation: &Situation,
        (server, client): (Language, Language),
        watch: &mut Watch,
        road: Option<&Pair>,
        cell: &mut Cell,
    ) {
        let name = format!("{}-{server}-{client}", situation.name);
        let (played, dump) = self.play(situation, (server, client), &name, watch, road);
        let failure = match played {
            Ok(played) => {
                cell.add(&played);
                self.versions.extend(played.versions.iter().cloned());
                failure(&played)
            }
            Err(error) => {
                if let Some(Error::Missing(reason)) = error.downcast_ref() {
                    println!("{name}: SKIPPED: {reason}");
                    cell.skipped = Some(reason.clone());
                    return;
                }
                let unsettled = settle(watch);
                Some(format!("{error:#}{unsettled}"))
            }
        };
        let Some(reasons) = failure else { return };
        let kept = match dump.map(Dump::keep) {
            Some(Ok(file)) => format!("\n  packets: observer replay {}", from_here(&file).display()),
            Some(Err(error)) => format!("\n  packets: none, {error:#}"),
            None => String::new(),
        };
        let failure = format!(
            "{name}: {reasons}{kept}\n  again: {} --implementation {server} --client {client}",
            self.again(situation)
        );
        println!("FAILED {failure}");
        cell.failures.push(failure);
    }

    /// Runs one pair; gives its packets too, if they were recorded.
    fn play(
        &self,
        situation: &Situation,
        (server, client): (Language, Language),
        name: &str,
        watch: &mut Watch,
        road: Option<&Pair>,
    ) -> (Result<Cell>, Option<Dump>) {
        let prepared = self.prepared(situation, (server, client), name, watch);
        let (server, client, capture) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return (Err(error), None),
        };
        let mut stage = Stage {
            situation,
            server: &server,
            client: &client,
            watch,
            road,
            random: Random::new(self.number(name) as u64),
            capture,
            dump: None,
        };
        let played = cell::play(&mut stage);
        (played, stage.dump.take())
    }

    /// The programs of a pair, and where their packets go; and an observer: a row whose observer has died goes on with
    /// another.
    fn prepared(
        &self,
        situation: &Situation,
        (server, client): (Language, Language),
        name: &str,
        watch: &mut Watch,
    ) -> Result<(Program, Program, Option<PathBuf>)> {
        watch.obituary();
        watch.resume()?;
        let program = |language| -> Result<Program> {
            let program = self.programs.get(&language).context("not prepared")?;
            if situation.around.tls {
                return Ok(program.over_tls(&certificates::folder()?));
            }
            Ok(program.clone())
        };
        let folder = cache::target_directory().join("truth");
        std::fs::create_dir_all(&folder)?;
        let capture = folder.join(format!("{name}-{}.pcap", self.options.seed));
        let capture = self.options.capture.then_some(capture);
        Ok((program(server)?, program(client)?, capture))
    }
}

/// As somebody in the workspace would write it: the page is published.
fn from_here(file: &Path) -> &Path {
    let target = cache::target_directory();
    let workspace = target.parent().unwrap_or(Path::new(""));
    file.strip_prefix(workspace).unwrap_or(file)
}

/// After programs that could not be run, or an observer that ended under them: what they did must not be counted into the
/// next. Gives what there is to say of it.
fn settle(watch: &mut Watch) -> String {
    if let Some(obituary) = watch.obituary() {
        return format!("\n  {obituary}");
    }
    if watch.observer().is_err() {
        return String::new();
    }
    settled::counts(watch, &Counts::default(), |_| false)
        .err()
        .map(|error| format!("\n  {error:#}"))
        .unwrap_or_default()
}

/// Why a pair has failed, if it has.
fn failure(cell: &Cell) -> Option<String> {
    let mut text = String::new();
    for (side, verdict) in [("server", &cell.server), ("client", &cell.client)] {
        if verdict.failed {
            let _ = write!(
                text,
                "\n  at the {side}'s socket:\n    {}",
                verdict.notes.join("\n    ")
            );
        }
    }
    (!text.is_empty()).then_some(text)
}
