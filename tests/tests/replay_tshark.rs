//! The oracle of `observer replay`: the traffic of real gRPC programs is recorded on loopback and decoded twice, by the
//! replay and by tshark. Streams, paths and statuses of every call have to be the same, and so have the counts of
//! the programs themselves.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

#[path = "replay_tshark/dump.rs"]
mod dump;
#[path = "replay_tshark/oracle.rs"]
mod oracle;
#[path = "replay_tshark/ours.rs"]
mod ours;

use std::collections::BTreeMap;
use std::time::Duration;

use observer::session::Status;
use tests::prerequisite::{Error, apt, or_skip};
use tests::process::Place;
use tests::wait;
use tests::workload::Language;
use tests::workload::mixture;
use tests::workload::peer::ServerOptions;
use tests::workload::plan::Step;
use tests::workload::tally::Tally;

/// A call, by the port of its client and its stream.
type Key = (u16, u32);

/// From the end of the last call to its packets in the file, on a loaded machine.
const WRITTEN: Duration = Duration::from_secs(30);

/// Bodies of megabytes say nothing about headers, and tshark takes minutes for them.
fn plan() -> Vec<Step> {
    let small = |step: &Step| step.request_size < 1 << 20;
    mixture::mixed().into_iter().filter(small).collect()
}

fn tools() -> Result<(), Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::Missing("recording packets needs root".to_owned()));
    }
    apt::install_for(&[("tcpdump", "tcpdump"), ("tshark", "tshark")])
}

fn check(test: &str, server: Language, client: Language) {
    let Some(()) = or_skip(test, tools()) else { return };
    let Some(server) = or_skip(test, server.prepare()) else {
        return;
    };
    let Some(client) = or_skip(test, client.prepare()) else {
        return;
    };
    let server = server.server(&ServerOptions::default()).unwrap();
    let mut dump = dump::Dump::start(server.port).unwrap();
    let mut client = client.client(&server.address(), &Place::default()).unwrap();
    let made = client.run(plan()).unwrap();
    client.quit().unwrap();
    let port = server.port;
    server.stop().unwrap();
    let wanted = made.ended();
    let complete = wait::until(WRITTEN, || {
        let calls = ours::calls(dump.file());
        let seen = calls.calls.len() as u64;
        if calls.connections_open == 0 && seen >= wanted {
            Ok(())
        } else {
            Err(format!(
                "{seen} of {wanted} calls, {} connections open",
                calls.connections_open
            ))
        }
    });
    let recorder = dump.stop();
    assert!(complete.is_ok(), "{complete:?}: {recorder}");
    compare(dump.file(), port, &made);
}

fn compare(file: &std::path::Path, port: u16, made: &Tally) {
    let ours = ours::calls(file);
    assert_eq!(ours.lost, Vec::<String>::new());
    let theirs = oracle::calls(file, port).unwrap();
    let mut differences = Vec::new();
    for (key, call) in &theirs {
        match ours.calls.get(key) {
            None => differences.push(format!("{key:?}: missing, {call:?}")),
            Some((path, _)) if *path != call.path => {
                differences.push(format!("{key:?}: {path}, not {}", call.path));
            }
            Some((_, status)) => {
                if let Some(number) = call.status
                    && Status::from_index(number) != Some(*status)
                {
                    differences.push(format!("{key:?} {}: {status:?}, not {number}", call.path));
                }
                if call.status.is_none() && *status == Status::Ok {
                    differences.push(format!("{key:?} {}: OK without a status", call.path));
                }
            }
        }
    }
    let more = ours.calls.keys().filter(|key| !theirs.contains_key(key));
    differences.extend(more.map(|key| format!("{key:?}: not among tshark's")));
    assert!(
        differences.is_empty(),
        "{} of {}: {differences:#?}",
        differences.len(),
        theirs.len()
    );

    // What was cancelled before it was sent is in no packet; the rest is there to the call.
    let mut by_path: BTreeMap<&str, u64> = BTreeMap::new();
    for (path, _) in ours.calls.values() {
        *by_path.entry(path.as_str()).or_default() += 1;
    }
    let counted: BTreeMap<&str, u64> = made
        .methods
        .iter()
        .map(|(path, tally)| (path.as_str(), tally.started))
        .collect();
    assert_eq!(by_path, counted);
    println!(
        "{} calls, {} with a status, the same as tshark's",
        theirs.len(),
        { theirs.values().filter(|call| call.status.is_some()).count() }
    );
}

#[test]
fn replay_grpc_go() {
    check("replay_grpc_go", Language::Go, Language::Go);
}

#[test]
fn replay_grpcio() {
    check("replay_grpcio", Language::Python, Language::Python);
}

#[test]
fn replay_grpcio_asyncio() {
    check(
        "replay_grpcio_asyncio",
        Language::PythonAsyncio,
        Language::PythonAsyncio,
    );
}

#[test]
fn replay_tonic() {
    check("replay_tonic", Language::Rust, Language::Rust);
}

#[test]
fn replay_grpc_js() {
    check("replay_grpc_js", Language::Node, Language::Node);
}
