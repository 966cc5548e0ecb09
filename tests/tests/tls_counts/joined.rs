//! What may be said of calls on connections that are older than the observer.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use tests::observer::Observer;
use tests::scrape::Scrape;
use tests::wait;
use tests::workload::tally::{MethodTally, Tally};

use super::{FAMILIES, LIMIT, count};

/// Waits until every call is counted, also those whose first bytes a program was already waiting for when it was probed.
pub fn await_joined(observer: &Observer, made: &Tally) -> Result<()> {
    wait::until(LIMIT, || {
        let scrape = observer.scrape().map_err(|error| error.to_string())?;
        for family in FAMILIES {
            let seen = scrape.sum(family, &[]);
            if seen < count(made.ended()) {
                return Err(format!("{family}: {seen} of {} calls are counted", made.ended()));
            }
        }
        Ok(())
    })?;
    let scrape = observer.scrape()?;
    FAMILIES
        .into_iter()
        .try_for_each(|family| never_wrong(&scrape, family, made))
}

/// No call that was not made: of no method, and with no status, more than the programs know; what is not known is said
/// to be so.
fn never_wrong(scrape: &Scrape, family: &str, made: &Tally) -> Result<()> {
    let mut statuses: BTreeMap<&str, f64> = BTreeMap::new();
    for (status, ended) in made.methods.values().flat_map(|of| &of.ended) {
        *statuses.entry(status).or_default() += count(*ended);
    }
    for sample in scrape.find(family, &[]) {
        let (method, status) = (sample.label("method"), sample.label("status"));
        if method != "_unknown" {
            let of = made.methods.get(method).map_or(0, MethodTally::ended_in_all);
            let seen = scrape.sum(family, &[("method", method)]);
            ensure!(seen <= count(of), "{sample}, but {of} calls were made");
        }
        if !status.starts_with('_') {
            let of = statuses.get(status).copied().unwrap_or_default();
            let seen = scrape.sum(family, &[("status", status)]);
            ensure!(seen <= of, "{sample}, but {of} calls ended so");
        }
    }
    let seen = scrape.sum(family, &[]);
    ensure!(seen <= count(made.ended()), "{seen} calls of {}", made.ended());
    Ok(())
}
