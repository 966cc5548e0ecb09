//! The same truth for calls inside of TLS: what `/metrics` says is what the programs did, by probes in the TLS libraries
//! of real programs that were not told of them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tests::cgroup::Cgroup;
use tests::observer::{self, Observer};
use tests::prerequisite::or_skip;
use tests::probe_site::{await_none, await_probes, probers};
use tests::process::Place;
use tests::scrape::Scrape;
use tests::scrape::calls::Side;
use tests::skip::skipped;
use tests::wait;
use tests::workload::mixture::{ECHO, mixed_for};
use tests::workload::peer::{Client, Server, ServerOptions};
use tests::workload::plan::{Kind, Step};
use tests::workload::tally::Tally;
use tests::workload::wheel::grpcio_of_unknown_shape;
use tests::workload::{Language, Program, certificates};

#[path = "tls_counts/crowd.rs"]
mod crowd;
#[path = "tls_counts/joined.rs"]
mod joined;

use crowd::{crowd, library_of};
use joined::await_joined;

const FAMILIES: [&str; 2] = ["marty_grpc_requests_total", "marty_grpc_client_requests_total"];
const RESERVE: &str = "/truth.v1.Inventory/Reserve";
/// From the end of a call to its count, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(20);
/// The kernel takes its time for each probe.
const DETACHING: Duration = Duration::from_mins(1);

/// What a test needs before its programs start.
struct Stage {
    test: &'static str,
    cgroup: Cgroup,
    certificates: PathBuf,
}

impl Stage {
    fn new(test: &'static str) -> Option<Self> {
        or_skip(test, observer::prepare())?;
        Some(Self {
            test,
            cgroup: or_skip(test, Cgroup::new())?,
            certificates: or_skip(test, certificates::folder())?,
        })
    }

    fn program(&self, language: Language) -> Option<Program> {
        let program = or_skip(self.test, language.prepare())?;
        Some(program.over_tls(&self.certificates))
    }

    fn place(&self) -> Place {
        Place {
            cgroup: Some(self.cgroup.path().to_owned()),
            ..Place::default()
        }
    }

    fn observer(&self, tls: &str) -> Result<Observer> {
        Observer::start(&[
            "--tls",
            tls,
            "--cgroup-path",
            &self.cgroup.path().to_string_lossy(),
        ])
    }

    fn pair(&self, server: &Program, client: &Program) -> Result<(Server, Client)> {
        let server = server.server(&ServerOptions {
            place: self.place(),
            ..ServerOptions::default()
        })?;
        let client = client.client(&server.address(), &self.place())?;
        Ok((server, client))
    }
}

/// What the server counted, with what its implementation does not tell it: the client saw how that ended.
fn taken(language: Language, server: &mut Server, made: &Tally) -> Result<Tally> {
    let unheard: Vec<_> = made
        .methods
        .iter()
        .filter(|(method, _)| !language.hears_of_unknown_methods() && method.ends_with("/Unheard"))
        .collect();
    let untold: u64 = unheard.iter().map(|(_, of)| of.ended_in_all()).sum();
    let mut taken = server.tally_after(made.ended() - untold)?;
    for (method, of) in unheard {
        taken.methods.insert(method.clone(), of.clone());
    }
    Ok(taken)
}

/// Every service that the scrape has calls of. Peers have to have a name, if only their address.
fn services(scrape: &Scrape) -> Result<Vec<String>> {
    let mut services = Vec::new();
    for family in FAMILIES {
        for sample in scrape.find(family, &[]) {
            ensure!(
                sample.label("peer") != "_unknown",
                "a call without a peer: {sample}"
            );
            services.push(format!("{family} {}", sample.label("service")));
        }
    }
    services.sort();
    services.dedup();
    Ok(services)
}

/// A count as the observer shows it.
fn count(calls: u64) -> f64 {
    f64::from(u32::try_from(calls).unwrap_or(u32::MAX))
}

fn open(scrape: &Scrape, protocol: &str) -> f64 {
    scrape.sum("marty_observer_connections", &[("protocol", protocol)])
}

fn nothing_lost(observer: &Observer) -> Result<()> {
    let losses = observer.losses()?;
    ensure!(losses.is_empty(), "lost on the way: {losses:?}");
    Ok(())
}

fn echo(count: u32, status: u32) -> Step {
    Step {
        status,
        concurrency: 4,
        ..Step::new(Kind::Unary, ECHO, count)
    }
}

/// Every implementation is a server once and a client once: (server, client).
const RING: [(Language, Language); 7] = [
    (Language::Go, Language::Node),
    (Language::Node, Language::Grpclib),
    (Language::Grpclib, Language::Cpp),
    (Language::Cpp, Language::Python),
    (Language::Python, Language::PythonAsyncio),
    (Language::PythonAsyncio, Language::Java),
    (Language::Java, Language::Go),
];

/// All kinds and ends of calls; and the names are those that the same programs have without TLS.
#[test]
fn counts_over_tls() -> Result<()> {
    let Some(stage) = Stage::new("counts_over_tls") else {
        return Ok(());
    };
    let prepared: Vec<_> = RING
        .into_iter()
        .filter_map(|(server, client)| Some((stage.program(server)?, stage.program(client)?)))
        .collect();
    let observer = stage.observer("true")?;
    let (mut made, mut received) = (Tally::default(), Tally::default());
    for (server, client) in &prepared {
        let (mut listening, mut calling) = stage.pair(&server.in_the_clear(), &client.in_the_clear())?;
        made.add(&calling.run([echo(1, 0)])?);
        received.add(&listening.tally_after(1)?);
        // While they live: of a process that has ended, no more is known than which thread made the socket.
        observer.expect(Side::Server, &[], &received)?;
        observer.expect(Side::Client, &[], &made)?;
    }
    let named = services(&observer.scrape()?)?;
    for (server, client) in &prepared {
        let (mut listening, mut calling) = stage.pair(server, client)?;
        await_probes(listening.process.id())?;
        await_probes(calling.process.id())?;
        let plan = calling.run(mixed_for(server.language))?;
        made.add(&plan);
        received.add(&taken(server.language, &mut listening, &plan)?);
        let pair = format!("{} calls {} over TLS", client.language, server.language);
        observer.expect(Side::Server, &[], &received)?;
        observer.expect(Side::Client, &[], &made)?;
        let scrape = observer.scrape()?;
        ensure!(open(&scrape, "grpc") > 0.0, "{pair}: no connection is open");
        ensure!(
            open(&scrape, "tls") < 0.5,
            "{pair}: {} connections are counted as hidden too",
            open(&scrape, "tls")
        );
        ensure!(
            services(&scrape)? == named,
            "{pair}: {:?}, in the clear {named:?}",
            services(&scrape)?
        );
        println!("{pair}: {} calls so far, all right", made.ended());
        calling.quit()?;
    }
    nothing_lost(&observer)?;
    observer.stop_probing()
}

/// Connections that are older than the observer: never wrong, and healed by new ones.
#[test]
fn joined_over_tls() -> Result<()> {
    let Some(stage) = Stage::new("joined_over_tls") else {
        return Ok(());
    };
    let mut pairs = Vec::new();
    for language in Language::PROBED {
        let Some(program) = stage.program(language) else {
            continue;
        };
        let (mut server, mut client) = stage.pair(&program, &program)?;
        let before = client.run([echo(20, 0)])?;
        server.tally_after(before.ended())?;
        pairs.push((language, server, client));
    }
    let observer = stage.observer("true")?;
    let (mut made, mut fresh) = (Tally::default(), Tally::default());
    for (language, server, client) in &mut pairs {
        await_probes(server.process.id())?;
        await_probes(client.process.id())?;
        made.add(&client.run([echo(40, 0), echo(40, 5)])?);
        let reserve = Step {
            churn: true,
            ..Step::new(Kind::Unary, RESERVE, 20)
        };
        let healed = client.run([reserve])?;
        made.add(&healed);
        fresh.add(&healed);
        for side in [Side::Server, Side::Client] {
            observer
                .expect(side, &[("method", RESERVE)], &fresh)
                .with_context(|| language.to_string())?;
        }
        await_joined(&observer, &made).with_context(|| language.to_string())?;
    }
    observer.stop_probing()
}

/// Nobody can look into a library whose functions are not told for certain: its connections are counted as what they are,
/// and nothing is made up.
#[test]
fn hidden_over_tls() -> Result<()> {
    let Some(stage) = Stage::new("hidden_over_tls") else {
        return Ok(());
    };
    let (Some(program), Some(packages)) = (
        stage.program(Language::Python),
        or_skip(stage.test, grpcio_of_unknown_shape()),
    ) else {
        return Ok(());
    };
    let mut variable = OsString::from("PYTHONPATH=");
    variable.push(packages);
    let program = program.behind(["env".into(), variable]);
    let observer = stage.observer("true")?;
    let (mut server, mut client) = stage.pair(&program, &program)?;
    let made = client.run([echo(20, 0), echo(20, 5)])?;
    ensure!(server.tally_after(made.ended())?.ended() == 40, "{made:?}");
    wait::until(LIMIT, || {
        let scrape = observer.scrape().map_err(|error| error.to_string())?;
        let seen: f64 = FAMILIES.into_iter().map(|family| scrape.sum(family, &[])).sum();
        let hidden = open(&scrape, "tls");
        // One socket of each side.
        match (hidden, seen) {
            (2.0, 0.0) => Ok(()),
            state => Err(format!("hidden connections and calls seen: {state:?}")),
        }
    })?;
    nothing_lost(&observer)?;
    client.quit()?;
    observer.stop_probing()
}

/// Without `--tls` the observer probes nothing, and the connections are what they were: hidden.
#[test]
fn nothing_probed_unasked() -> Result<()> {
    let Some(stage) = Stage::new("nothing_probed_unasked") else {
        return Ok(());
    };
    let Some(program) = stage.program(Language::Go) else {
        return Ok(());
    };
    let observer = stage.observer("false")?;
    let (mut server, mut client) = stage.pair(&program, &program)?;
    let made = client.run([echo(20, 0)])?;
    server.tally_after(made.ended())?;
    wait::until(LIMIT, || {
        let scrape = observer.scrape().map_err(|error| error.to_string())?;
        let hidden = open(&scrape, "tls");
        if hidden > 1.5 {
            Ok(())
        } else {
            Err(format!("{hidden} connections are TLS"))
        }
    })?;
    ensure!(
        !probers()?.contains(&observer.process.id()),
        "the observer holds probes"
    );
    ensure!(services(&observer.scrape()?)?.is_empty(), "calls were seen");
    observer.stop()
}

/// However the observer ends, the programs are as they were, and go on.
#[test]
fn probes_go_with_the_observer() -> Result<()> {
    let Some(stage) = Stage::new("probes_go_with_the_observer") else {
        return Ok(());
    };
    let others = probers()?;
    if !others.is_empty() {
        skipped(
            stage.test,
            &format!("processes {others:?} probe as well, and go on"),
        );
        return Ok(());
    }
    let mut pairs = Vec::new();
    for language in [Language::Go, Language::Cpp] {
        if let Some(program) = stage.program(language) {
            pairs.push((language, stage.pair(&program, &program)?));
        }
    }
    for signal in [Signal::TERM, Signal::KILL] {
        let mut observer = stage.observer("true")?;
        for (_, (server, client)) in &mut pairs {
            await_probes(server.process.id())?;
            await_probes(client.process.id())?;
            client.run([echo(20, 0)])?;
        }
        ensure!(probers()?.contains(&observer.process.id()), "no probes are held");
        observer.process.signal(signal)?;
        let ended = observer.process.wait(DETACHING)?;
        ensure!(ended.success() == (signal == Signal::TERM), "{ended}");
        for (language, (server, client)) in &mut pairs {
            await_none(server.process.id())?;
            await_none(client.process.id())?;
            let made = client.run([echo(20, 0), echo(20, 5)])?;
            ensure!(made.unexpected.is_empty(), "{language}: {:#?}", made.unexpected);
        }
    }
    Ok(())
}

/// A thousand processes that share one library: found once, probed once, and the observer goes on.
#[test]
fn a_thousand_processes_share_a_library() -> Result<()> {
    let Some(stage) = Stage::new("a_thousand_processes_share_a_library") else {
        return Ok(());
    };
    let Some(program) = stage.program(Language::Grpclib) else {
        return Ok(());
    };
    let (mut server, mut client) = stage.pair(&program, &program)?;
    let Some(library) = library_of(server.process.id())? else {
        skipped(stage.test, "Python's ssl has OpenSSL inside of itself");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let own = folder.path().join("libssl.so.3");
    std::fs::copy(library, &own)?;
    let observer = stage.observer("true")?;
    let many = crowd(&own)?;
    let first = many.first_child()?;
    await_probes(first)?;
    let last = many.last_child()?;
    await_probes(last)?;
    let told = observer.process.report();
    let probed = told
        .lines()
        .filter(|line| line.contains(&*own.to_string_lossy()))
        .count();
    ensure!(probed == 1, "probed {probed} times:{told}");
    let churn = Step {
        churn: true,
        ..echo(20, 0)
    };
    let made = client.run([churn])?;
    let taken = server.tally_after(made.ended())?;
    observer.expect(Side::Server, &[], &taken)?;
    observer.expect(Side::Client, &[], &made)?;
    nothing_lost(&observer)?;
    client.quit()?;
    observer.stop_probing()
}
