//! One cell of the table: its programs are run, its calls judged at both sockets.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::counts::{Counts, Ends};
use super::settled;
use super::stage::{Round, Stage};
use super::verdict::{self, Sight, Verdict};
use crate::scrape::calls::Side;

/// How often the observer calls an end what a program itself calls it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Agreement {
    pub of: u64,
    pub same: u64,
}

#[derive(Debug, Clone, Default)]
pub struct Cell {
    pub server: Verdict,
    pub client: Verdict,
    pub with_server: Agreement,
    pub with_client: Agreement,
    /// One for each pair of programs that failed, and how to see it again.
    pub failures: Vec<String>,
    /// Implementations, and what they call themselves.
    pub versions: Vec<(String, String)>,
    /// What was measured on the way.
    pub figures: Vec<String>,
    pub is_left_out: bool,
    /// Why nothing was run.
    pub skipped: Option<String>,
}

impl Cell {
    pub fn skipped(reason: &str) -> Self {
        Self {
            skipped: Some(reason.to_owned()),
            ..Self::default()
        }
    }

    /// Nothing could be run, and that is a fault.
    pub fn failed(reason: &str) -> Self {
        Self {
            failures: vec![reason.to_owned()],
            ..Self::default()
        }
    }

    /// Not part of this form of the run.
    pub fn left_out() -> Self {
        Self {
            is_left_out: true,
            ..Self::default()
        }
    }

    pub fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Adds what another pair of programs gave.
    pub fn add(&mut self, other: &Self) {
        self.server.add(&other.server);
        self.client.add(&other.client);
        self.figures.extend(other.figures.iter().cloned());
        for (mine, theirs) in [
            (&mut self.with_server, other.with_server),
            (&mut self.with_client, other.with_client),
        ] {
            mine.of += theirs.of;
            mine.same += theirs.same;
        }
    }
}

/// Runs one pair of programs. The error means that they could not be run.
pub fn play(stage: &mut Stage<'_>) -> Result<Cell> {
    let before = stage.watch.counts()?;
    let round = (stage.situation.act)(stage)?;
    ensure!(
        round.server.values().sum::<u64>() > 0,
        "the programs made no call: nothing was tested"
    );
    let is_perfect = |counts: &Counts| {
        let cell = judged(stage, &round, counts);
        let verdicts = [&cell.server, &cell.client];
        verdicts
            .iter()
            .all(|verdict| !verdict.failed && verdict.right == verdict.made)
    };
    let counts = settled::counts(stage.watch, &before, is_perfect)?;
    let mut cell = judged(stage, &round, &counts);
    // An observer that was started in between has not seen the same bytes.
    if let (Some(bytes), Sight::Whole, 0) = (&round.bytes, stage.situation.sight, cell.server.unobserved) {
        let differing = differing_bytes(bytes, &counts.bytes);
        cell.server.wrong += differing.len() as u64;
        cell.server.failed |= !differing.is_empty();
        cell.server.notes.extend(differing);
    }
    if counts.in_flight > 0 {
        cell.server.failed = true;
        cell.server
            .notes
            .push(format!("{} calls are in flight for ever", counts.in_flight));
    }
    Ok(cell)
}

fn judged(stage: &Stage<'_>, round: &Round, counts: &Counts) -> Cell {
    let situation = stage.situation;
    let mut unseen = verdict::reported_missing(counts);
    let repeated = [Side::Server, Side::Client].map(|side| {
        let truth: u64 = truth_of(round, side).values().sum();
        let seen: u64 = counts.ends(side).values().sum();
        if situation.may_repeat {
            seen.saturating_sub(truth)
        } else {
            0
        }
    });
    let mut judge = |side| {
        let (alike, sight) = (situation.alike, situation.sight);
        let repeated = if side == Side::Server {
            repeated[0]
        } else {
            repeated[1]
        };
        let seen = verdict::without(counts.ends(side), "UNAVAILABLE", repeated);
        let truth = uncrossed(round, side, &seen);
        verdict::judge(&truth, &seen, (counts, &mut unseen), alike, sight)
    };
    let (mut server, client) = (judge(Side::Server), judge(Side::Client));
    // Both sockets were on the same wire.
    if repeated[0] != repeated[1] {
        server.failed = true;
        server.notes.push(format!(
            "calls that were sent again: {repeated:?} at the two sockets"
        ));
    }
    for (service, calls) in &round.services {
        let seen = counts.services.get(service).copied().unwrap_or(0);
        if seen != *calls {
            server.failed = true;
            let note = format!(
                "service {service}: {calls} calls, observer {seen} of {:?}",
                counts.services
            );
            server.notes.push(note);
        }
    }
    if !round.failures.is_empty() {
        server.failed = true;
        server.notes.extend(round.failures.iter().cloned());
    }
    if unseen > 0 {
        server.failed = true;
        let note = format!("{unseen} calls are reported as unseen that were counted, or never made");
        server.notes.push(note);
    }
    let agreement = |view: &Option<Ends>, side| {
        view.as_ref().map_or_else(Agreement::default, |view| Agreement {
            of: view.values().sum(),
            same: verdict::agreeing(view, counts.ends(side)),
        })
    };
    Cell {
        server,
        client,
        figures: round.figures.clone(),
        versions: round.versions.clone(),
        with_server: agreement(&round.server_view, Side::Server),
        with_client: agreement(&round.client_view, Side::Client),
        ..Cell::default()
    }
}

fn truth_of(round: &Round, side: Side) -> &Ends {
    match side {
        Side::Server => &round.server,
        Side::Client => &round.client,
    }
}

/// The truth at a socket; calls whose end there is one of two have the one that the observer says, if it is one of them.
fn uncrossed(round: &Round, side: Side, seen: &Ends) -> Ends {
    let mut truth = truth_of(round, side).clone();
    for crossed in round.crossed.iter().filter(|crossed| crossed.side == side) {
        let [first, second] = crossed
            .statuses
            .map(|status| (crossed.method.clone(), status.to_owned()));
        let of = |ends: &Ends, end| ends.get(end).copied().unwrap_or(0);
        if of(&truth, &first) > of(seen, &first) && of(&truth, &second) < of(seen, &second) {
            *truth.entry(first).or_default() -= 1;
            *truth.entry(second).or_default() += 1;
        }
    }
    truth
}

/// Payload that the observer counted otherwise than the programs did.
fn differing_bytes(truth: &BTreeMap<String, (u64, u64)>, seen: &BTreeMap<String, (u64, u64)>) -> Vec<String> {
    let differing = truth.iter().filter_map(|(method, bytes)| {
        let seen = seen.get(method).copied().unwrap_or_default();
        (seen != *bytes).then(|| format!("{method}: payload {bytes:?}, observer {seen:?}"))
    });
    differing.collect()
}
