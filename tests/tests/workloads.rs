//! The judges judged: each server agrees with a client of its own kind and with one of the next on every call of a mixed
//! plan, with no observer around. What they agree on can be taken for the truth. All are crossed with each other where an
//! observer is around (`daemon_counts`), which would not agree with both if they did not.

use anyhow::{Result, ensure};
use tests::namespace::{self, Faults, Pair};
use tests::prerequisite::or_skip;
use tests::process::Place;
use tests::workload::Language;
use tests::workload::command::kind_of;
use tests::workload::comparison::differences;
use tests::workload::h2load::H2load;
use tests::workload::mixture::{ECHO, mixed_for};
use tests::workload::peer::ServerOptions;
use tests::workload::plan::{Kind, Step};

/// The kind itself, and the next one.
fn callers(language: Language) -> impl Iterator<Item = Language> {
    let around = Language::ALL.into_iter().cycle();
    around.skip_while(move |other| *other != language).take(2)
}

/// One server, and the plans of two clients against it.
fn check(test: &str, language: Language) -> Result<()> {
    let Some(program) = or_skip(test, language.prepare()) else {
        return Ok(());
    };
    for other in callers(language) {
        let Some(caller) = or_skip(test, other.prepare()) else {
            continue;
        };
        let mut server = program.server(&ServerOptions::default())?;
        let mut client = caller.client(&server.address(), &Place::default())?;
        let made = client.run(mixed_for(language))?;
        client.quit()?;
        let told: u64 = made
            .methods
            .iter()
            .filter(|(method, _)| language.hears_of_unknown_methods() || kind_of(method).is_some())
            .map(|(_, of)| of.ended_in_all())
            .sum();
        let taken = server.tally_after(told)?;
        let found = differences(&made, &taken);
        ensure!(found.is_empty(), "{other} calls {language}: {found:#?}");
        ensure!(
            made.unexpected.is_empty(),
            "{other} calls {language}: {:#?}",
            made.unexpected
        );
        ensure!(
            made.started() == made.ended(),
            "{other} calls {language}: calls without an end"
        );
        ensure!(
            server.stop()?.started() == taken.started(),
            "{language} counts after its last call"
        );
        println!("{other} calls {language}: {} calls right", made.started());
    }
    Ok(())
}

#[test]
fn workload_grpcio() -> Result<()> {
    check("workload_grpcio", Language::Python)
}

#[test]
fn workload_grpcio_asyncio() -> Result<()> {
    check("workload_grpcio_asyncio", Language::PythonAsyncio)
}

#[test]
fn workload_grpc_go() -> Result<()> {
    check("workload_grpc_go", Language::Go)
}

#[test]
fn workload_tonic() -> Result<()> {
    check("workload_tonic", Language::Rust)
}

#[test]
fn workload_grpc_js() -> Result<()> {
    check("workload_grpc_js", Language::Node)
}

#[test]
fn workload_grpclib() -> Result<()> {
    check("workload_grpclib", Language::Grpclib)
}

#[test]
fn workload_grpc_java() -> Result<()> {
    check("workload_grpc_java", Language::Java)
}

#[test]
fn workload_grpc_cpp() -> Result<()> {
    check("workload_grpc_cpp", Language::Cpp)
}

/// Over IPv4 and IPv6, on a road that loses and delays packets: the programs still agree, and the road was bad.
#[test]
fn bad_road_between_namespaces() -> Result<()> {
    let test = "bad_road_between_namespaces";
    let Some(program) = or_skip(test, Language::Rust.prepare()) else {
        return Ok(());
    };
    let Some(pair) = or_skip(test, Pair::new()) else {
        return Ok(());
    };
    let faults = Faults {
        lost_permille: 10,
        late_permille: 50,
    };
    let Some(()) = or_skip(test, pair.disturb(faults)) else {
        return Ok(());
    };
    for host in namespace::SERVER {
        let options = ServerOptions {
            host: host.into(),
            place: pair.server(),
            ..ServerOptions::default()
        };
        let mut server = program.server(&options)?;
        let mut client = program.client(&server.address(), &pair.client())?;
        let sizes = Step {
            request_size: 5000,
            response_size: 50_000,
            concurrency: 10,
            ..Step::default()
        };
        let made = client.run([Step { count: 1000, ..sizes }])?;
        let found = differences(&made, &server.tally_after(made.ended())?);
        ensure!(
            made.unexpected.is_empty() && found.is_empty(),
            "{:#?} {found:#?}",
            made.unexpected
        );
    }
    let disturbed = pair.disturbed()?;
    ensure!(disturbed.lost > 0 && disturbed.late > 0, "{disturbed:?}");
    println!("{disturbed:?}");
    Ok(())
}

/// A client without a status: the servers say how its calls ended.
#[test]
fn h2load_against_all() -> Result<()> {
    let test = "h2load_against_all";
    let Some(h2load) = or_skip(test, H2load::prepare()) else {
        return Ok(());
    };
    for language in Language::ALL {
        let Some(program) = or_skip(test, language.prepare()) else {
            continue;
        };
        let mut server = program.server(&ServerOptions::default())?;
        let url = format!("http://{}", server.address());
        for (before, (status, name)) in [(0, "OK"), (5, "NOT_FOUND")].into_iter().enumerate() {
            let step = Step {
                status,
                connections: 2,
                concurrency: 10,
                ..Step::new(Kind::Unary, ECHO, 500)
            };
            ensure!(h2load.run(&url, &step, &Place::default())? == 500, "{language}");
            // A server may count a call after its client has the answer.
            let tally = server.tally_after(500 * (before as u64 + 1))?;
            let found = tally.methods.get(ECHO).and_then(|echo| echo.ended.get(name));
            ensure!(found == Some(&500), "{language}: {found:?} calls ended {name}");
        }
    }
    Ok(())
}
