//! The judges judged: each client and each server, crossed, agree on every call of a mixed plan, with no observer
//! around. What they agree on can be taken for the truth.

use anyhow::{Result, ensure};
use tests::namespace::{self, Faults, Pair};
use tests::prerequisite::or_skip;
use tests::process::Place;
use tests::workload::Language;
use tests::workload::comparison::differences;
use tests::workload::h2load::H2load;
use tests::workload::peer::ServerOptions;
use tests::workload::plan::{Kind, Step};

const ECHO: &str = "/truth.v1.Truth/Echo";
const DOWNLOAD: &str = "/truth.v1.Truth/Download";
const WATCH: &str = "/truth.v1.Inventory/Watch";
const UPLOAD: &str = "/truth.v1.Truth/Upload";
const CHAT: &str = "/truth.v1.Truth/Chat";

fn mixed() -> Vec<Step> {
    [unary(), streaming(), abandoned(), refused()].concat()
}

fn unary() -> Vec<Step> {
    let echo = |count| Step::new(Kind::Unary, ECHO, count);
    vec![
        Step::new(Kind::Unary, "/truth.v1.Truth/Get", 20),
        Step {
            connections: 2,
            concurrency: 50,
            response_size: 100,
            request_size: 50,
            ..echo(400)
        },
        Step {
            response_size: 8 << 20,
            request_size: 8 << 20,
            ..echo(2)
        },
        Step {
            metadata_size: 30_000,
            metadata_unique: true,
            response_headers: 20_000,
            response_trailers: 30_000,
            ..echo(20)
        },
        Step {
            churn: true,
            concurrency: 4,
            ..Step::new(Kind::Unary, "/truth.v1.Inventory/Reserve", 20)
        },
    ]
}

fn streaming() -> Vec<Step> {
    let step = Step::new;
    let chat = Step {
        concurrency: 5,
        request_count: 20,
        request_size: 9,
        ..step(Kind::Bidi, CHAT, 10)
    };
    vec![
        Step {
            concurrency: 5,
            response_count: 20,
            response_size: 1000,
            ..step(Kind::Server, DOWNLOAD, 10)
        },
        Step {
            status: 9,
            response_count: 3,
            headers_first: true,
            ..step(Kind::Server, WATCH, 5)
        },
        Step {
            status: 9,
            response_count: 3,
            ..step(Kind::Server, WATCH, 5)
        },
        Step {
            concurrency: 5,
            request_count: 20,
            request_size: 1000,
            ..step(Kind::Client, UPLOAD, 10)
        },
        Step {
            status: 8,
            request_count: 3,
            ..step(Kind::Client, UPLOAD, 5)
        },
        Step {
            response_count: 2,
            ..chat.clone()
        },
        Step {
            status: 5,
            headers_first: true,
            ..chat.clone()
        },
        Step { status: 5, ..chat },
    ]
}

/// Calls that their client gives up.
fn abandoned() -> Vec<Step> {
    let echo = Step::new(Kind::Unary, ECHO, 20);
    let abandon = Step {
        sleep_ms: 60_000,
        concurrency: 10,
        expect: Some("*".into()),
        ..echo
    };
    let first = Step {
        cancel_after_first: true,
        response_count: 1,
        linger_ms: 60_000,
        concurrency: 10,
        ..Step::default()
    };
    let first = Step {
        expect: Some("CANCELLED".into()),
        count: 20,
        ..first
    };
    vec![
        Step {
            deadline_ms: 50,
            ..abandon.clone()
        },
        Step {
            cancel_after_ms: 50,
            ..abandon
        },
        Step {
            kind: Kind::Server,
            method: WATCH.into(),
            ..first.clone()
        },
        Step {
            kind: Kind::Bidi,
            method: CHAT.into(),
            ..first
        },
    ]
}

/// Every status but OK, with and without headers before it.
fn refused() -> Vec<Step> {
    // Not a kind that writes while it is refused: grpcio's asyncio then calls its own failed write INTERNAL.
    let unheard = [
        (Kind::Unary, "/truth.v1.Truth/Unheard"),
        (Kind::Server, "/no.such.Service/Unheard"),
    ];
    let unheard = unheard.map(|(kind, method)| Step::new(kind, method, 3));
    let unheard = unheard.map(|step| Step {
        expect: Some("UNIMPLEMENTED".into()),
        ..step
    });
    let all = (1..17).map(|status| Step {
        status,
        message: "süß, 100 %\n".into(),
        headers_first: status % 2 == 0,
        ..Step::new(Kind::Unary, "/truth.v1.Truth/Put", 2)
    });
    all.chain(unheard).collect()
}

/// One server, and every client's plan against it.
fn check(test: &str, language: Language) -> Result<()> {
    let Some(program) = or_skip(test, language.prepare()) else {
        return Ok(());
    };
    for other in Language::ALL {
        let Some(caller) = or_skip(test, other.prepare()) else {
            continue;
        };
        let mut server = program.server(&ServerOptions::default())?;
        let mut client = caller.client(&server.address(), &Place::default())?;
        let made = client.run(mixed())?;
        client.quit()?;
        let taken = server.tally_after(made.ended())?;
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
        for (status, name) in [(0, "OK"), (5, "NOT_FOUND")] {
            let step = Step {
                status,
                connections: 2,
                concurrency: 10,
                ..Step::new(Kind::Unary, ECHO, 500)
            };
            ensure!(
                h2load.run(&server.address(), &step, &Place::default())? == 500,
                "{language}"
            );
            let tally = server.tally()?;
            let found = tally.methods.get(ECHO).and_then(|echo| echo.ended.get(name));
            ensure!(found == Some(&500), "{language}: {found:?} calls ended {name}");
        }
    }
    Ok(())
}
