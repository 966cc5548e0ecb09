//! The daemon against the applications' own counts: what `/metrics` says is what the programs did, per method and
//! status, at the server's socket and at the client's, and nothing was lost on the way.

use anyhow::{Result, ensure};
use tests::cgroup::Cgroup;
use tests::observer::{self, Observer};
use tests::prerequisite::or_skip;
use tests::process::Place;
use tests::scrape::calls::Side;
use tests::workload::Language;
use tests::workload::mixture::mixed_for;
use tests::workload::peer::ServerOptions;
use tests::workload::tally::Tally;

/// One server, and every client's mixed plan against it.
fn check(test: &str, language: Language) -> Result<()> {
    let Some(program) = or_skip(test, language.prepare()) else {
        return Ok(());
    };
    let Some(_) = or_skip(test, observer::prepare()) else {
        return Ok(());
    };
    // Before the server starts, which ends by itself after some minutes: the first time packages are fetched.
    let callers: Vec<_> = Language::ALL
        .into_iter()
        .filter_map(|other| Some((other, or_skip(test, other.prepare())?)))
        .collect();
    let Some(cgroup) = or_skip(test, Cgroup::new()) else {
        return Ok(());
    };
    let place = Place {
        cgroup: Some(cgroup.path().to_owned()),
        ..Place::default()
    };
    let observer = Observer::start(&["--cgroup-path", &cgroup.path().to_string_lossy()])?;
    let mut server = program.server(&ServerOptions {
        place: place.clone(),
        ..ServerOptions::default()
    })?;
    let mut made = Tally::new("all", "");
    for (other, caller) in callers {
        let mut client = caller.client(&server.address(), &place)?;
        made.add(&client.run(mixed_for(language))?);
        client.quit()?;
        // Not every server tells its program of methods that it does not have; the clients saw how they ended.
        let unheard: Vec<_> = made
            .methods
            .iter()
            .filter(|(method, _)| method.ends_with("/Unheard"))
            .collect();
        let untold = if language.hears_of_unknown_methods() {
            0
        } else {
            unheard.iter().map(|(_, of)| of.ended_in_all()).sum()
        };
        let mut taken = server.tally_after(made.ended() - untold)?;
        for (method, tally) in unheard {
            taken
                .methods
                .entry(method.clone())
                .or_insert_with(|| tally.clone());
        }
        observer.expect(Side::Server, &[], &taken)?;
        observer.expect(Side::Client, &[], &made)?;
        println!(
            "{other} calls {language}: {} calls so far, all right",
            made.ended()
        );
    }
    server.quit()?;
    let losses = observer.losses()?;
    ensure!(losses.is_empty(), "lost on the way: {losses:?}");
    observer.stop()
}

#[test]
fn counts_of_a_grpc_go_server() -> Result<()> {
    check("counts_of_a_grpc_go_server", Language::Go)
}

#[test]
fn counts_of_a_grpcio_server() -> Result<()> {
    check("counts_of_a_grpcio_server", Language::Python)
}

#[test]
fn counts_of_a_grpcio_asyncio_server() -> Result<()> {
    check("counts_of_a_grpcio_asyncio_server", Language::PythonAsyncio)
}

#[test]
fn counts_of_a_grpc_js_server() -> Result<()> {
    check("counts_of_a_grpc_js_server", Language::Node)
}

#[test]
fn counts_of_a_tonic_server() -> Result<()> {
    check("counts_of_a_tonic_server", Language::Rust)
}

#[test]
fn counts_of_a_grpclib_server() -> Result<()> {
    check("counts_of_a_grpclib_server", Language::Grpclib)
}

#[test]
fn counts_of_a_grpc_java_server() -> Result<()> {
    check("counts_of_a_grpc_java_server", Language::Java)
}

#[test]
fn counts_of_a_grpc_cpp_server() -> Result<()> {
    check("counts_of_a_grpc_cpp_server", Language::Cpp)
}
