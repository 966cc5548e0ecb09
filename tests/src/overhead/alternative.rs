//! What else would show a service's calls, measured in the same way: metrics inside of the program, and a packet capture.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::Result;

use super::pair::{Load, Pair, Watcher};
use super::whole::{Site, Turns};
use crate::prerequisite::{Error, apt};
use crate::process::{Place, Process};
use crate::wait;
use crate::workload::Program;

/// A capture begins in some hundredths of a second; the rest is for a loaded machine.
const STARTING: Duration = Duration::from_secs(20);

pub const ABOUT: &str = "The same pairs without the observer, and instead with metrics inside of the server's program \
    (the client has none), or with a packet capture of the pair's port, whose own CPU is in the figure.";

/// The same server without and with its own metrics; the client has none in both.
pub fn instrumented(
    site: &Site,
    [plain, with]: [&Program; 2],
    load: Load,
    rounds: usize,
    time: Duration,
) -> Result<Turns> {
    let alone = site.alone();
    let without = Pair::both(plain);
    let with = Pair {
        server: with,
        ..without
    };
    let calls = without.calibrate(&alone, load, time)?;
    let numbers = [calls / 4, calls];
    Turns::take(
        rounds,
        || without.run(&alone, load, numbers, None),
        || with.run(&alone, load, numbers, None),
    )
}

/// A capture of the pair's packets that throws them away.
pub fn captured(
    site: &Site,
    program: &Program,
    load: Load,
    rounds: usize,
    time: Duration,
) -> Result<Turns, Error> {
    apt::install_for(&[("tcpdump", "tcpdump")])?;
    let alone = site.alone();
    let pair = Pair::both(program);
    let measure = || -> Result<Turns> {
        let calls = pair.calibrate(&alone, load, time)?;
        let numbers = [calls / 4, calls];
        Turns::take(
            rounds,
            || pair.run(&alone, load, numbers, None),
            || {
                // Free again when the listener is dropped.
                let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
                let capture = tcpdump(port)?;
                Pair { port, ..pair }.run(&alone, load, numbers, Some(Watcher::Capture(capture.id())))
            },
        )
    };
    measure().map_err(|error| Error::Broken(format!("{error:#}")))
}

fn tcpdump(port: u16) -> Result<Process> {
    let port = port.to_string();
    // As root to the end: before it gave up its rights it would give `/dev/null` to its own user.
    let command = [
        "tcpdump",
        "-Z",
        "root",
        "-i",
        "lo",
        "-w",
        "/dev/null",
        "tcp",
        "port",
        &port,
    ];
    let capture = Process::start(&command.map(Into::into), &Place::default())?;
    wait::until(STARTING, || {
        let said = capture.report();
        if said.contains("listening on") {
            Ok(())
        } else {
            Err(said)
        }
    })?;
    Ok(capture)
}
