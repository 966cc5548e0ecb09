//! The whole run: every situation, every server, some clients each; progress, the table, the page.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use super::cell::Cell;
use super::dump;
use super::options::Options;
use super::page::{self, About};
use super::situation::{self, Situation};
use super::soak;
use super::table::{Row, Table};
use super::watch::Watch;
use crate::capture::random::Random;
use crate::namespace::Pair;
use crate::prerequisite::Error;
use crate::scrape::calls::Side;
use crate::skip::skipped;
use crate::workload::interop;
use crate::workload::{Language, Program};

mod pair;

/// How many clients call each server in each situation: over the rows, all pairs come about.
const QUICK_CROSSINGS: usize = 1;
const QUICK_SERVERS: usize = 3;
const CROSSINGS: usize = 2;
/// In a soak, the client is that of another implementation than the server.
const CLIENT_AHEAD: usize = 3;

#[derive(Debug)]
pub struct Run {
    options: Options,
    programs: BTreeMap<Language, Program>,
    versions: BTreeMap<String, String>,
    missing: Vec<(String, String)>,
    /// The observers of the rows so far: attaching one takes seconds, so rows that want the same share it.
    watches: BTreeMap<(u32, u32, bool), Watch>,
}

pub fn run(options: Options) -> Result<ExitCode> {
    let begun = Instant::now();
    let mut run = Run::prepare(options)?;
    let seed = run.options.seed;
    println!("seed {seed}");
    if let Some(length) = run.options.soak {
        return soak::run(&mut run, length);
    }
    let mut table = Table {
        columns: run.servers().iter().map(Language::to_string).collect(),
        rows: Vec::new(),
    };
    let situations = run.options.situations.clone();
    for (number, situation) in situations.iter().enumerate() {
        let place = format!("[{}/{}]", number + 1, situations.len());
        let cells = run.row(situation, &place);
        table.rows.push(Row { situation, cells });
        if run.options.is_whole {
            // After each row: a run of an hour that is stopped leaves what it has found.
            run.write_page(&table, begun)?;
        }
    }
    Ok(conclude(&run, &table, begun))
}

fn conclude(run: &Run, table: &Table, begun: Instant) -> ExitCode {
    println!(
        "\nAt the servers' sockets: made / right / unobserved / wrong\n{}",
        table.text(Side::Server)
    );
    println!("At the clients' sockets\n{}", table.text(Side::Client));
    for cell in table.rows.iter().flat_map(|row| &row.cells) {
        for failure in &cell.failures {
            println!("FAILED {failure}\n");
        }
    }
    for (name, reason) in &run.missing {
        skipped(&format!("truth {name}"), reason);
    }
    for row in &table.rows {
        for (cell, column) in row.cells.iter().zip(&table.columns) {
            if let Some(reason) = &cell.skipped {
                skipped(&format!("truth {} {column}", row.situation.name), reason);
            }
        }
    }
    let sum = table.sum();
    let failed = table
        .rows
        .iter()
        .flat_map(|row| &row.cells)
        .filter(|cell| cell.has_failed())
        .count();
    println!(
        "truth: {} calls judged at both sockets: {} right, {} unobserved, {} wrong; {failed} cells failed; {} s",
        sum.made,
        sum.right,
        sum.unobserved,
        sum.wrong,
        begun.elapsed().as_secs()
    );
    if table.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

impl Run {
    /// With everything that the implementations need, got where it is not there yet.
    pub fn prepare(mut options: Options) -> Result<Self> {
        let (mut programs, mut missing) = (BTreeMap::new(), Vec::new());
        let mut wanted = [options.servers.as_slice(), options.clients.as_slice()].concat();
        wanted.sort();
        wanted.dedup();
        for language in wanted {
            match language.prepare() {
                Ok(program) => drop(programs.insert(language, program)),
                Err(Error::Missing(reason)) => missing.push((language.to_string(), reason)),
                Err(Error::Broken(reason)) => bail!("{language}: {reason}"),
            }
        }
        if options.capture
            && let Err(error) = dump::prepare()
        {
            println!("no packets of failures will be kept: {error}");
            options.capture = false;
        }
        let run = Self {
            options,
            programs,
            versions: BTreeMap::new(),
            missing,
            watches: BTreeMap::new(),
        };
        ensure!(
            !run.servers().is_empty() && !run.clients().is_empty(),
            "no implementation can be run here: {:?}",
            run.missing
        );
        Ok(run)
    }

    fn write_page(&self, table: &Table, begun: Instant) -> Result<()> {
        let about = About {
            date: page::today(),
            kernel: page::kernel()?,
            seed: self.options.seed,
            took: begun.elapsed(),
            situations: self.options.situations.len(),
            versions: self.versions.clone(),
            missing: self.missing.clone(),
        };
        Ok(std::fs::write(page::path(), page::page(table, &about))?)
    }

    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    fn servers(&self) -> Vec<Language> {
        self.available(&self.options.servers)
    }

    fn clients(&self) -> Vec<Language> {
        self.available(&self.options.clients)
    }

    fn available(&self, wanted: &[Language]) -> Vec<Language> {
        wanted
            .iter()
            .copied()
            .filter(|language| self.programs.contains_key(language))
            .collect()
    }

    /// The clients of one cell: others for each situation and server, the same for the same seed.
    fn crossed(&self, situation: &Situation, server: usize) -> Vec<Language> {
        let mut clients = self.clients();
        if situation.around.max_age_ms > 0 {
            // It closes its connection at a GOAWAY, under its calls: then no program counts what the wire shows.
            clients.retain(|client| *client != Language::Grpclib);
        }
        if situation.around.tls {
            clients.retain(|client| Language::PROBED.contains(client));
        }
        if situation.name == situation::INTEROP {
            clients.retain(|client| interop::missing(*client).is_none());
        }
        let most = if self.options.quick {
            QUICK_CROSSINGS
        } else {
            CROSSINGS
        };
        let first = self.number(situation.name) + server;
        (0..clients.len().min(most))
            .filter_map(|number| clients.get((first + number) % clients.len()).copied())
            .collect()
    }

    /// In the quick form each situation takes some of the servers in turn, unless they are named.
    fn leaves_out(&self, situation: &Situation, column: usize) -> bool {
        let count = self.servers().len();
        let turn = (self.number(situation.name) + column) % count.max(1);
        self.options.quick && !self.options.is_named && turn >= QUICK_SERVERS
    }

    /// A number from the seed and a name.
    fn number(&self, name: &str) -> usize {
        let mixed = name.bytes().fold(self.options.seed, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        Random::new(mixed).below(1 << 20)
    }

    /// The cells of one situation. What breaks in it, breaks no other.
    fn row(&mut self, situation: &'static Situation, place: &str) -> Vec<Cell> {
        let servers = self.servers();
        let surroundings = road(situation).and_then(|road| Ok((road, self.watch(situation)?)));
        let (road, mut watch) = match surroundings {
            Ok(surroundings) => surroundings,
            Err(Error::Missing(reason)) => {
                println!("{place} {}: SKIPPED: {reason}", situation.name);
                return servers.iter().map(|_| Cell::skipped(&reason)).collect();
            }
            Err(Error::Broken(reason)) => {
                let failure = format!("{}: {reason}\n  again: {}", situation.name, self.again(situation));
                println!("FAILED {place} {failure}");
                return servers.iter().map(|_| Cell::failed(&failure)).collect();
            }
        };
        let mut cells = Vec::new();
        for (column, server) in servers.into_iter().enumerate() {
            let begun = Instant::now();
            let clients = self.crossed(situation, column);
            if self.leaves_out(situation, column) {
                cells.push(Cell::left_out());
                continue;
            }
            if let Some(reason) = lacks(server, situation) {
                println!("{place} {} {server}: SKIPPED: {reason}", situation.name);
                cells.push(Cell::skipped(reason));
                continue;
            }
            let mut cell = Cell::default();
            for client in &clients {
                self.pair(situation, (server, *client), &mut watch, road.as_ref(), &mut cell);
            }
            let callers: Vec<String> = clients.iter().map(Language::to_string).collect();
            println!(
                "{place} {} {server} <- {}: {} / {} / {} / {}, client side {} / {} / {} / {}{} ({:.1} s)",
                situation.name,
                callers.join(", "),
                cell.server.made,
                cell.server.right,
                cell.server.unobserved,
                cell.server.wrong,
                cell.client.made,
                cell.client.right,
                cell.client.unobserved,
                cell.client.wrong,
                if cell.has_failed() { " FAILED" } else { "" },
                begun.elapsed().as_secs_f64()
            );
            cells.push(cell);
        }
        self.watches.insert(key(situation), watch);
        cells
    }

    /// The command that plays a situation as it was played here.
    fn again(&self, situation: &Situation) -> String {
        format!(
            "cargo xtask truth --situation {} --seed {}",
            situation.name, self.options.seed
        )
    }

    /// One pair of programs, another one each time: as many pairs as there are servers, then the same again.
    pub fn turn(&mut self, situation: &Situation, number: usize) -> Result<Cell> {
        let (servers, clients) = (self.servers(), self.clients());
        let pick = |list: &[Language], number: usize| list.get(number % list.len()).copied();
        let pair = pick(&servers, number).zip(pick(&clients, number % servers.len() + CLIENT_AHEAD));
        let (server, client) = pair.context("nothing to run")?;
        let mut cell = Cell::default();
        let is_fit = situation.around.max_age_ms == 0 || client != Language::Grpclib;
        if lacks(server, situation).is_none() && is_fit {
            let road = road(situation)?;
            let mut watch = self.watch(situation)?;
            self.pair(situation, (server, client), &mut watch, road.as_ref(), &mut cell);
            self.watches.insert(key(situation), watch);
        }
        Ok(cell)
    }

    /// What a situation's observer says of itself.
    pub fn own(&self, situation: &Situation, family: &str) -> Result<f64> {
        let watch = self.watches.get(&key(situation)).context("no observer yet")?;
        Ok(watch.observer()?.scrape()?.sum(family, &[]))
    }

    /// An observer that is as the situation wants it: that of an earlier row, or a new one.
    fn watch(&mut self, situation: &Situation) -> Result<Watch, Error> {
        match self.watches.remove(&key(situation)) {
            Some(watch) => Ok(watch),
            None => Watch::start(&situation.around),
        }
    }
}

/// What an implementation cannot do that a situation needs.
fn lacks(server: Language, situation: &Situation) -> Option<&'static str> {
    if situation.name == situation::INTEROP
        && let Some(reason) = interop::missing(server)
    {
        return Some(reason);
    }
    if situation.around.tls && !Language::PROBED.contains(&server) {
        return Some("its workload has no TLS");
    }
    (server == Language::Grpclib && situation.around.max_age_ms > 0)
        .then_some("its server has no greatest age of connections")
}

/// What makes observers different.
fn key(situation: &Situation) -> (u32, u32, bool) {
    let around = &situation.around;
    (around.ring_bytes, around.observer_percent, around.tls)
}

fn road(situation: &Situation) -> Result<Option<Pair>, Error> {
    let Some(faults) = situation.around.road else {
        return Ok(None);
    };
    let pair = Pair::new()?;
    if faults != crate::namespace::Faults::default() {
        pair.disturb(faults)?;
    }
    Ok(Some(pair))
}
