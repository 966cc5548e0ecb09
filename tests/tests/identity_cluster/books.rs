//! What the programs of the proof say of themselves, by pod, and what the observer says of the same pods.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::process::Process;
use tests::scrape::Scrape;
use tests::workload::plan::{Plan, Step};
use tests::workload::tally::Tally;

use super::cluster::{Cluster, NAMESPACE};

const LIMIT: Duration = Duration::from_mins(5);

/// The servers whose output is followed, so that one which is deleted still tells its last counts.
#[derive(Debug, Default)]
pub struct Servers(BTreeMap<String, Followed>);

#[derive(Debug)]
struct Followed {
    service: String,
    log: Process,
}

impl Servers {
    /// Follows the pods of an application that are not followed yet.
    pub fn follow(&mut self, cluster: &Cluster, app: &str, service: &str) -> Result<usize> {
        let selector = format!("app={app}");
        let pods = cluster.get(&["pods", "--selector", &selector])?;
        for pod in pods["items"].as_array().context("items")? {
            let name = pod["metadata"]["name"].as_str().context("a name")?;
            if !self.0.contains_key(name) {
                let log = cluster.start(&["logs", "--follow", "--ignore-errors", name])?;
                let service = service.to_owned();
                self.0.insert(name.to_owned(), Followed { service, log });
            }
        }
        Ok(self
            .0
            .values()
            .filter(|followed| followed.service == service)
            .count())
    }

    /// The last counts of all, by pod, once all have been told to end.
    pub fn tallies(self) -> Result<BTreeMap<String, (String, Tally)>> {
        let one = |(pod, mut followed): (String, Followed)| {
            let line = followed
                .log
                .wait_for("{", LIMIT)
                .with_context(|| format!("the counts of {pod}"))?;
            let tally = serde_json::from_str(&format!("{{{line}"))?;
            Ok((pod, (followed.service, tally)))
        };
        self.0.into_iter().map(one).collect()
    }
}

/// A client in a pod, spoken to through the API server.
#[derive(Debug)]
pub struct Client {
    pub pod: String,
    attached: Process,
}

impl Client {
    pub fn attach(cluster: &Cluster, pod: &str) -> Result<Self> {
        let attached = cluster.start(&["attach", "--stdin", pod])?;
        Ok(Self {
            pod: pod.to_owned(),
            attached,
        })
    }

    pub fn begin(&mut self, steps: impl IntoIterator<Item = Step>) -> Result<()> {
        let plan: Plan = steps.into_iter().collect();
        self.attached.write_line(&serde_json::to_string(&plan)?)
    }

    pub fn result(&mut self) -> Result<Tally> {
        let line = self.attached.wait_for("{", LIMIT)?;
        serde_json::from_str(&format!("{{{line}")).with_context(|| format!("a tally of {}", self.pod))
    }

    pub fn run(&mut self, steps: impl IntoIterator<Item = Step>) -> Result<Tally> {
        self.begin(steps)?;
        self.result()
    }
}

/// Calls of a tally that ended with `status`, or all.
pub fn ended(tally: &Tally, status: Option<&str>) -> u64 {
    let of_method = |ended: &BTreeMap<String, u64>| -> u64 {
        ended
            .iter()
            .filter(|(name, _)| status.is_none_or(|status| status == name.as_str()))
            .map(|(_, count)| count)
            .sum()
    };
    tally
        .methods
        .values()
        .map(|method| of_method(&method.ended))
        .sum()
}

/// Every (service, pod) that has calls, with how many of them there were, by status.
pub fn seen(scrape: &Scrape, family: &str) -> BTreeMap<(String, String), BTreeMap<String, u64>> {
    let mut seen = BTreeMap::<_, BTreeMap<String, u64>>::new();
    for sample in scrape.find(family, &[]).filter(|sample| sample.value > 0.0) {
        let key = (sample.label("service").to_owned(), sample.label("pod").to_owned());
        let ended = seen.entry(key).or_default();
        *ended.entry(sample.label("status").to_owned()).or_default() += whole(sample.value);
    }
    seen
}

/// That nothing is where no program of the proof is.
pub fn nobody_else(scrape: &Scrape, family: &str, expected: &[(String, String)]) -> Result<()> {
    for (key, calls) in seen(scrape, family) {
        ensure!(
            expected.contains(&key),
            "{family}: calls under {key:?}: {calls:?}"
        );
    }
    for sample in scrape.find(family, &[]) {
        ensure!(sample.label("namespace") == NAMESPACE, "{sample}");
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of tests are far below 2^53"
)]
pub fn whole(value: f64) -> u64 {
    value.round() as u64
}
