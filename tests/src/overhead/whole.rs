//! Observed against not observed: the same pair in turns in a cgroup that the daemon watches and in one that nobody does.

use std::time::Duration;

use anyhow::Result;

use super::pair::{Load, Pair, Taken, Watcher};
use super::spread::Spread;
use crate::cgroup::Cgroup;
use crate::observer::Observer;
use crate::process::Place;

/// Two cgroups beside each other, a daemon on one of them.
#[derive(Debug)]
pub struct Site {
    pub observer: Observer,
    watched: Cgroup,
    alone: Cgroup,
}

impl Site {
    pub fn open() -> Result<Self> {
        Self::open_with(&[])
    }

    /// With more settings of the daemon.
    pub fn open_with(settings: &[&str]) -> Result<Self> {
        let [watched, alone] = [Cgroup::new(), Cgroup::new()];
        let watched = watched.map_err(|error| anyhow::anyhow!(error))?;
        let alone = alone.map_err(|error| anyhow::anyhow!(error))?;
        let path = watched.path().to_string_lossy();
        let observer = Observer::start(&[&["--cgroup-path", &path], settings].concat())?;
        Ok(Self {
            observer,
            watched,
            alone,
        })
    }

    pub fn watched(&self) -> Place {
        place(&self.watched)
    }

    pub fn alone(&self) -> Place {
        place(&self.alone)
    }

    pub fn close(self) -> Result<()> {
        self.observer.stop()
    }
}

fn place(cgroup: &Cgroup) -> Place {
    Place {
        cgroup: Some(cgroup.path().to_owned()),
        ..Place::default()
    }
}

/// Runs of one kind that took turns: without and with.
#[derive(Debug)]
pub struct Turns(pub Vec<[Taken; 2]>);

impl Turns {
    /// So many rounds, each beginning with the other.
    pub fn take(
        rounds: usize,
        mut without: impl FnMut() -> Result<Taken>,
        mut with: impl FnMut() -> Result<Taken>,
    ) -> Result<Self> {
        let mut turns = Vec::new();
        for round in 0..rounds {
            turns.push(if round % 2 == 0 {
                let first = without()?;
                [first, with()?]
            } else {
                let first = with()?;
                [without()?, first]
            });
        }
        Ok(Self(turns))
    }

    fn spread(&self, figure: impl Fn(&[Taken; 2]) -> f64) -> Spread {
        Spread::of(self.0.iter().map(figure)).unwrap_or(Spread {
            low: f64::NAN,
            middle: f64::NAN,
            high: f64::NAN,
            count: 0,
        })
    }

    /// Microseconds of CPU that a call takes without.
    pub fn without(&self) -> Spread {
        self.spread(|[without, _]| without.each())
    }

    /// Microseconds more.
    pub fn added(&self) -> Spread {
        self.spread(|[without, with]| with.each() - without.each())
    }

    /// The share of that in what it takes without, in per cent.
    pub fn share(&self) -> Spread {
        self.spread(|[without, with]| 100.0 * (with.each() / without.each() - 1.0))
    }

    /// Microseconds of the daemon for a call.
    pub fn daemon(&self) -> Spread {
        self.spread(|[_, with]| with.microseconds(with.observer))
    }

    /// How often the daemon woke in a second.
    pub fn wakes(&self) -> Spread {
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        self.spread(|[_, with]| with.observer_waits as f64 / with.wall.as_secs_f64())
    }

    /// Thousands of calls in a second, without.
    pub fn rate(&self) -> Spread {
        self.spread(|[without, _]| f64::from(without.calls) / without.wall.as_secs_f64() / 1e3)
    }

    /// Calls in a run.
    pub fn calls(&self) -> u32 {
        self.0.first().map_or(0, |[without, _]| without.calls)
    }
}

/// A pair without and with the observer, in turns.
pub fn observed(site: &Site, pair: Pair<'_>, load: Load, rounds: usize, time: Duration) -> Result<Turns> {
    let calls = pair.calibrate(&site.alone(), load, time)?;
    let numbers = [calls / 4, calls];
    Turns::take(
        rounds,
        || pair.run(&site.alone(), load, numbers, None),
        || {
            pair.run(
                &site.watched(),
                load,
                numbers,
                Some(Watcher::Daemon(site.observer.process.id())),
            )
        },
    )
}
