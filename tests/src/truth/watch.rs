//! The observer of one row of the table, in a cgroup of its own; it can be stopped and started again without
//! losing what it had counted.

use anyhow::{Context as _, Result};

use super::counts::Counts;
use super::quota::Quota;
use super::situation::Around;
use crate::cgroup::Cgroup;
use crate::observer::{self, Observer};
use crate::prerequisite::Error;
use crate::process::Place;

#[derive(Debug)]
pub struct Watch {
    // Dropped in this order: a cgroup goes when nothing is in it.
    observer: Option<Observer>,
    quota: Option<Quota>,
    cgroup: Cgroup,
    arguments: Vec<String>,
    tls: bool,
    /// What earlier observers counted.
    carried: Counts,
}

impl Watch {
    pub fn start(around: &Around) -> Result<Self, Error> {
        observer::prepare()?;
        let cgroup = Cgroup::new()?;
        let mut arguments = vec![
            "--cgroup-path".to_owned(),
            cgroup.path().to_string_lossy().into_owned(),
        ];
        if around.ring_bytes > 0 {
            arguments.extend(["--ring-bytes".to_owned(), around.ring_bytes.to_string()]);
        }
        if around.tls {
            arguments.extend(["--tls".to_owned(), "true".to_owned()]);
        }
        let quota = match around.observer_percent {
            0 => None,
            _ => Some(Quota::new()?),
        };
        let mut watch = Self {
            observer: None,
            quota,
            cgroup,
            arguments,
            tls: around.tls,
            carried: Counts::default(),
        };
        watch
            .resume()
            .map_err(|error| Error::Broken(format!("{error:#}")))?;
        if let Some(quota) = &watch.quota {
            // Only now: verifying the programs is not what is to be slow.
            quota.limit(around.observer_percent)?;
        }
        Ok(watch)
    }

    /// Where programs run whose calls are to be seen.
    pub fn place(&self) -> Place {
        Place {
            cgroup: Some(self.cgroup.path().to_owned()),
            ..Place::default()
        }
    }

    pub fn observer(&self) -> Result<&Observer> {
        self.observer.as_ref().context("no observer runs")
    }

    /// Everything that was counted since the row began.
    pub fn counts(&self) -> Result<Counts> {
        match &self.observer {
            Some(observer) => Ok(Counts::of(&observer.scrape()?).plus(&self.carried)),
            None => Ok(self.carried.clone()),
        }
    }

    /// Ends the observer, as an operator would.
    pub fn stop(&mut self) -> Result<()> {
        let counts = self.counts()?;
        if let Some(observer) = self.observer.take() {
            if self.tls {
                observer.stop_probing()?;
            } else {
                observer.stop()?;
            }
        }
        self.carried = Counts {
            held: 0,
            in_flight: 0,
            ..counts
        };
        Ok(())
    }

    /// Starts another observer, if none runs.
    pub fn resume(&mut self) -> Result<()> {
        if self.observer.is_none() {
            let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
            let place = Place {
                cgroup: self.quota.as_ref().map(|quota| quota.path().to_owned()),
                ..Place::default()
            };
            self.observer = Some(Observer::start_in(&place, &arguments)?);
        }
        Ok(())
    }
}
