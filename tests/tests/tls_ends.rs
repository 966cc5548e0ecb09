//! A server that closes right behind its last answer: the program reads that answer out of its TLS library when its socket has
//! ended already.

use anyhow::{Result, ensure};
use tests::cgroup::Cgroup;
use tests::observer::{self, Observer};
use tests::prerequisite::or_skip;
use tests::probe_site::await_probes;
use tests::process::Place;
use tests::wait;
use tests::workload::mixture::ECHO;
use tests::workload::peer::ServerOptions;
use tests::workload::plan::{Kind, Step};
use tests::workload::{Language, certificates};

const TEST: &str = "answers_behind_the_end";
const CALLS: u32 = 800;
const CALLED: &str = "marty_grpc_client_requests_total";
const LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

/// A call that the library repeated by itself is one more on the wire, which did not end well: answers alone are compared.
#[test]
fn answers_behind_the_end() -> Result<()> {
    if or_skip(TEST, observer::prepare()).is_none() {
        return Ok(());
    }
    let (Some(cgroup), Some(certificates), Some(server), Some(client)) = (
        or_skip(TEST, Cgroup::new()),
        or_skip(TEST, certificates::folder()),
        or_skip(TEST, Language::Python.prepare()),
        or_skip(TEST, Language::Go.prepare()),
    ) else {
        return Ok(());
    };
    let place = Place {
        cgroup: Some(cgroup.path().to_owned()),
        ..Place::default()
    };
    let path = cgroup.path().to_string_lossy();
    let observer = Observer::start(&["--tls", "true", "--cgroup-path", &path])?;
    let options = ServerOptions {
        max_age_ms: 250,
        place: place.clone(),
        ..ServerOptions::default()
    };
    let server = server.over_tls(&certificates).server(&options)?;
    let mut calling = client.over_tls(&certificates).client(&server.address(), &place)?;
    await_probes(server.process.id())?;
    await_probes(calling.process.id())?;
    let step = Step {
        expect: Some("*".into()),
        sleep_ms: 15,
        concurrency: 8,
        ..Step::new(Kind::Unary, ECHO, CALLS)
    };
    let made = calling.run([step])?;
    let answered: u64 = made.methods.values().filter_map(|of| of.ended.get("OK")).sum();
    ensure!(answered > 0, "nothing was answered: {made:?}");
    let answered = f64::from(u32::try_from(answered)?);
    wait::until(LIMIT, || {
        let scrape = observer.scrape().map_err(|error| error.to_string())?;
        let seen = scrape.sum(CALLED, &[("status", "OK")]);
        let unknown = scrape.sum(CALLED, &[("status", "_unobserved")]);
        if unknown < 0.5 && (seen - answered).abs() < 0.5 {
            Ok(())
        } else {
            Err(format!(
                "{seen} of {answered} answers were seen, {unknown} ends were not"
            ))
        }
    })?;
    ensure!(observer.losses()?.is_empty(), "{:?}", observer.losses()?);
    calling.quit()?;
    observer.stop_probing()
}
