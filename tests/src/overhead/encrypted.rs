//! Calls inside of TLS: with probes in the TLS libraries and without. Probes are in files, and so in every process that has
//! them: while runs are measured without, no observer may look into TLS.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::pair::{Load, Pair, Watcher};
use super::whole::{Site, Turns};
use crate::probe_site;
use crate::process::Place;
use crate::workload::peer::ServerOptions;
use crate::workload::{Language, Program, certificates};

pub const LANGUAGES: [Language; 4] = [Language::Go, Language::Node, Language::Cpp, Language::Python];

pub const ABOUT: &str = "Pairs that speak TLS, without any observer and with one that has `--tls`, whose own CPU is in the \
    figure. The probes are traps of the processor: each call of `SSL_read` and `SSL_write` takes some of them.";

/// A program of these that speaks TLS.
pub fn program(language: Language) -> Result<Program> {
    let program = language.prepare().with_context(|| language.to_string())?;
    Ok(program.over_tls(&certificates::folder()?))
}

pub fn measure(site: &Site, program: &Program, load: Load, rounds: usize, time: Duration) -> Result<Turns> {
    let pair = Pair::both(program);
    let calls = pair.calibrate(&site.alone(), load, time)?;
    let numbers = [calls / 4, calls];
    Turns::take(
        rounds,
        || pair.run(&site.alone(), load, numbers, None),
        || {
            let probing = Site::open_with(&["--tls", "true"])?;
            let place = probing.watched();
            find(program, &place)?;
            let observer = Watcher::Daemon(probing.observer.process.id());
            let taken = pair.run(&place, load, numbers, Some(observer))?;
            probing.observer.stop_probing()?;
            Ok(taken)
        },
    )
}

/// Has the observer find the program before it is measured.
fn find(program: &Program, place: &Place) -> Result<()> {
    let options = ServerOptions {
        place: place.clone(),
        ..ServerOptions::default()
    };
    let server = program.server(&options)?;
    probe_site::await_probes(server.process.id())?;
    server.quit().map(drop)
}
