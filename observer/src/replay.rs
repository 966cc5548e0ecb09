//! `observer replay`: the same decoding from a capture file. Packets (`capture`, `link`, `packet`) become segments of
//! connections (`network`, `connection`, `half`), the kernel's walker goes through them, and what it tells becomes
//! the records that the kernel would have written (`told`). From there on all is the daemon's: sessions (`calls`),
//! counted by `report`, printed by `table`, `json`, or as an exposition.
//!
//! A connection is seen from the server's side wherever the capture was taken, so each call counts once.
#![forbid(unsafe_code)]

mod calls;
pub mod capture;
mod connection;
mod half;
mod json;
mod link;
mod network;
mod packet;
mod progress;
mod quantile;
mod report;
mod table;
mod told;

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use self::calls::Calls;
use self::capture::{Capture, Damage};
pub use self::network::{Network, Packets};
use self::progress::Progress;
use self::report::Report;
pub use self::told::Sink;
use crate::attribution::rule::{Rules, Subject};
use crate::config::Config;
use crate::config::args::ReplayFormat;

/// The capture is damaged, and everything before the damage was decoded.
const DAMAGED: u8 = 2;

/// `observer replay FILE`.
pub fn run(config: &Config, file: &Path, format: ReplayFormat) -> anyhow::Result<ExitCode> {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr());
    let is_watched = err.is_terminal();
    let damage = if file == Path::new("-") {
        decode(config, io::stdin().lock(), None, format, &mut out, &mut err)
    } else {
        let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
        let total = opened
            .metadata()
            .ok()
            .map(|about| about.len())
            .filter(|_| is_watched);
        decode(
            config,
            BufReader::with_capacity(1 << 18, opened),
            total,
            format,
            &mut out,
            &mut err,
        )
    };
    let damage = damage.with_context(|| format!("cannot replay {}", file.display()))?;
    Ok(if damage {
        ExitCode::from(DAMAGED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Decodes a capture and writes the result; true: it is damaged. `total`: its bytes, if progress is to be shown.
pub fn decode(
    config: &Config,
    input: impl Read,
    total: Option<u64>,
    format: ReplayFormat,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<bool> {
    let idle = u64::try_from(config.call_idle.as_nanos()).unwrap_or(u64::MAX);
    let rules = Rules::new(config.structured.services.clone());
    let naming = move |server: packet::Endpoint| {
        let subject = Subject {
            ports: &[server.port],
            ..Subject::default()
        };
        rules
            .name(&subject)
            .map_or_else(|| server.to_string(), str::to_owned)
    };
    let report = Report::new(config.metrics_settings(), Box::new(naming));
    let mut calls = Calls::new(report, idle);
    let mut progress = Progress::new(total);
    let mut capture = Capture::open(input)?;
    let (packets, damage) = records(&mut capture, &mut calls, |offset| progress.packet(offset, err));
    progress.finish(err);
    if let Some(damage) = &damage {
        writeln!(
            err,
            "observer: warning: {damage}; everything before it is decoded"
        )?;
    }
    let report = calls.finish();
    match format {
        ReplayFormat::Table => out.write_all(table::render(&report, &packets).as_bytes())?,
        ReplayFormat::Json => out.write_all(json::render(&report, &packets, damage.as_ref()).as_bytes())?,
        ReplayFormat::Prometheus => out.write_all(&report.exposition())?,
    }
    out.flush()?;
    Ok(damage.is_some())
}

/// Feeds all records of a capture to `sink`, as the kernel programs would have written them. `read` is told how far
/// the file is read, with each packet.
pub fn records<R: Read>(
    capture: &mut Capture<R>,
    sink: &mut impl Sink,
    mut read: impl FnMut(u64),
) -> (Packets, Option<Damage>) {
    let mut network = Network::default();
    let damage = loop {
        match capture.packet() {
            Ok(Some(packet)) => network.packet(&packet, sink),
            Ok(None) => break None,
            Err(damage) => break Some(damage),
        }
        read(capture.offset());
    };
    network.finish(sink);
    (network.packets, damage)
}

#[cfg(test)]
mod tests;
