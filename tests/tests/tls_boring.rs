//! `BoringSSL` where it kept its names: calls of a client of it are counted at its socket, which is tied like OpenSSL's.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::cgroup::Cgroup;
use tests::observer::{self, Observer};
use tests::prerequisite::or_skip;
use tests::probe_site::await_probes;
use tests::process::{Place, Process};
use tests::scrape::calls::Side;
use tests::workload::peer::ServerOptions;
use tests::workload::{Language, certificates, tls};

const TEST: &str = "counts_over_boring_ssl";
const CALLS: u64 = 200;
const NOT_FOUND: u64 = 20;
const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn counts_over_boring_ssl() -> Result<()> {
    if or_skip(TEST, observer::prepare()).is_none() {
        return Ok(());
    }
    let (Some(cgroup), Some(certificates), Some(program), Some(client)) = (
        or_skip(TEST, Cgroup::new()),
        or_skip(TEST, certificates::folder()),
        or_skip(TEST, Language::Go.prepare()),
        or_skip(TEST, tls::boring()),
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
        place: place.clone(),
        ..ServerOptions::default()
    };
    let mut server = program.over_tls(&certificates).server(&options)?;
    let told = ["127.0.0.1".to_owned(), server.port.to_string()];
    let told = told
        .into_iter()
        .chain([CALLS, NOT_FOUND].map(|count| count.to_string()));
    let command: Vec<_> = client.into_iter().chain(told.map(Into::into)).collect();
    let mut client = Process::start(&command, &place)?;
    client.wait_for("READY", LIMIT)?;
    await_probes(server.process.id())?;
    await_probes(client.id())?;
    client.write_line("go")?;
    let made = client.wait_for("DONE ", LIMIT)?;
    let made: BTreeMap<String, u64> = serde_json::from_str(&made).context("what the client counted")?;
    let expected =
        [("0", CALLS - NOT_FOUND), ("5", NOT_FOUND)].map(|(status, count)| (status.to_owned(), count));
    ensure!(made == expected.into(), "the client counted {made:?}");
    let counted = server.tally_after(CALLS)?;
    observer.expect(Side::Server, &[], &counted)?;
    observer.expect(Side::Client, &[], &counted)?;
    let scrape = observer.scrape()?;
    ensure!(
        scrape.sum("marty_observer_connections", &[("protocol", "tls")]) < 0.5,
        "a socket is not tied"
    );
    ensure!(observer.losses()?.is_empty(), "{:?}", observer.losses()?);
    observer.stop_probing()
}
