//! Instructions of a call. This runs in an emulated machine whose clock goes on by one nanosecond with each instruction
//! (`cargo xtask bench --guest`), of the kernel and of programs alike: there, time is a count.
//!
//! The machine has one processor and the pair keeps it busy, so what passes while the pair makes its calls is what
//! everybody executes for them. What the daemon has not yet read by then is added.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::exchange;
use super::foreign;
use super::pair::{Load, Pair, SEQUENTIAL, Taken, Watcher};
use super::whole::Site;
use crate::capture::watch::attach;
use crate::cgroup::Cgroup;
use crate::process::Place;
use crate::workload::{self, Language, Program};

/// How this program is started: by `cargo xtask` on the host, which asks what it can measure, and in the guest.
pub const PROGRAMS: &str = "counted-programs";
pub const COUNT: &str = "count-instructions";

const CONCURRENT: Load = Load {
    name: "100 streams",
    connections: 1,
    concurrency: 100,
};
/// Calls before the count, and in it. Many enough that what goes by time is little of each.
const LOADS: [(Load, [u32; 2]); 2] = [(SEQUENTIAL, [400, 2_000]), (CONCURRENT, [800, 4_000])];
/// The same of plain sockets, by calls at once.
const EXCHANGES: [(u32, [u32; 2]); 2] = [(1, [500, 4_000]), (100, [1_000, 10_000])];
/// 256 MiB in chunks of 64 KiB.
const CHUNKS: u32 = 4_000;
/// Room for everything that nobody reads: six records of each call, of 192 bytes, and no half of it, where the daemon would
/// be woken.
const RING_BYTES: u32 = 128 << 20;
/// Need no libraries, and no interpreter.
const LANGUAGES: [Language; 2] = [Language::Rust, Language::Go];

/// Names the programs that can be had, a line for each.
pub fn programs() {
    workload::tell_programs(&LANGUAGES);
}

/// Counts for a pair of plain sockets, for each of `programs`, as [`programs`] names them, and if there are any for a bulk
/// transfer: all without the observer, then with its kernel programs alone,
/// then with the daemon.
pub fn count(programs: &[&str]) -> Result<()> {
    let programs = programs.iter().copied().map(parse).collect::<Result<Vec<_>>>()?;
    let cgroup = Cgroup::new().map_err(|error| anyhow::anyhow!(error))?;
    let place = Place {
        cgroup: Some(cgroup.path().to_owned()),
        ..Place::default()
    };
    let without = all(&programs, &place, None)?;
    let (probe, ring) = attach(Some(cgroup.path()), RING_BYTES).map_err(|error| anyhow::anyhow!(error))?;
    let unread = all(&programs, &place, None)?;
    drop((probe, ring));
    let site = Site::open()?;
    let with = all(&programs, &site.watched(), Some(site.observer.process.id()))?;
    // What is cheap because it counts wrong must not pass.
    let counted = site.observer.scrape()?.sum(
        "marty_grpc_requests_total",
        &[("method", exchange::METHOD), ("status", "OK")],
    );
    let made: u32 = EXCHANGES.iter().flat_map(|(_, calls)| calls).sum();
    ensure!(
        (counted - f64::from(made)).abs() < 0.5,
        "of {made} calls of plain sockets {counted} were counted"
    );
    for ((without, unread), with) in without.iter().zip(&unread).zip(&with) {
        let (name, without) = without;
        println!(
            "counted: {name} {} {} {} {}",
            each(without, whole(without)),
            each(&unread.1, whole(&unread.1)),
            each(&with.1, whole(&with.1)),
            each(&with.1, with.1.observer)
        );
    }
    site.close()
}

fn parse(named: &str) -> Result<Program> {
    let (name, path) = named.split_once('=').context("LANGUAGE=PATH")?;
    let language = LANGUAGES.into_iter().find(|known| known.to_string() == name);
    let language = language.with_context(|| format!("{name} is none that is counted"))?;
    Ok(Program::at(language, Path::new(path)))
}

/// Each run with its name and how much goes on at once in it.
fn all(programs: &[Program], place: &Place, daemon: Option<u32>) -> Result<Vec<(String, Taken)>> {
    let mut runs = Vec::new();
    for (at_once, calls) in EXCHANGES {
        let taken = exchange::run(place, at_once, calls, daemon.map(Watcher::Daemon))?;
        runs.push((format!("exchange {at_once}"), taken));
    }
    for program in programs {
        for (load, calls) in LOADS {
            let name = format!("{} {}", program.language, load.concurrency);
            let taken = Pair::both(program).run(place, load, calls, daemon.map(Watcher::Daemon))?;
            runs.push((name, taken));
        }
    }
    if !programs.is_empty() {
        runs.push(("bulk 1".to_owned(), foreign::transfer(place, daemon, CHUNKS)?));
    }
    Ok(runs)
}

fn whole(taken: &Taken) -> Duration {
    taken.wall + taken.observer_late
}

/// Instructions for each call of what took so long.
fn each(taken: &Taken, time: Duration) -> u128 {
    time.as_nanos() / u128::from(taken.calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_and_where_it_is() {
        assert_eq!(
            parse("tonic=/peer/tonic").unwrap().path(),
            Path::new("/peer/tonic")
        );
        for unknown in ["tonic", "grpcio=/usr/bin/python3"] {
            assert!(parse(unknown).is_err(), "{unknown}");
        }
    }
}
