//! The observer of one row of the table, in a cgroup of its own; it can be stopped and started again without
//! losing what it had counted.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::counts::Counts;
use super::quota::Quota;
use super::situation::Around;
use crate::cgroup::Cgroup;
use crate::observer::{self, Observer};
use crate::prerequisite::Error;
use crate::process::Place;

/// From the end of a process to the end of what it has said.
const LEFT_TO_SAY: Duration = Duration::from_secs(5);

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

    /// Ends the observer as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        let observer = self.observer.as_mut().context("no observer runs")?;
        observer.process.kill();
        Ok(())
    }

    /// What an observer said that has ended by itself; it is let go, so that the next row can have another.
    pub fn obituary(&mut self) -> Option<String> {
        let dead = self.observer.as_mut()?.process.has_ended();
        let mut observer = self.observer.take_if(|_| dead)?;
        let ended = observer.process.wait(LEFT_TO_SAY);
        let ended = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        Some(format!(
            "the observer has ended ({ended}){}",
            observer.process.report()
        ))
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
