//! `observer top` of a daemon that sees real calls.

use std::process::Command;

use anyhow::{Result, ensure};
use tests::cgroup::Cgroup;
use tests::observer::{self, Observer};
use tests::prerequisite::or_skip;
use tests::process::Place;
use tests::scrape::calls::Side;
use tests::workload::Language;
use tests::workload::mixture::ECHO;
use tests::workload::peer::ServerOptions;
use tests::workload::plan::{Kind, Step};

#[test]
fn top_shows_what_a_server_answered() -> Result<()> {
    let test = "top_shows_what_a_server_answered";
    let (Some(daemon), Some(program), Some(cgroup)) = (
        or_skip(test, observer::prepare()),
        or_skip(test, Language::Rust.prepare()),
        or_skip(test, Cgroup::new()),
    ) else {
        return Ok(());
    };
    let place = Place {
        cgroup: Some(cgroup.path().to_owned()),
        ..Place::default()
    };
    let observer = Observer::start(&["--cgroup-path", &cgroup.path().to_string_lossy()])?;
    let server = program.server(&ServerOptions {
        place: place.clone(),
        ..ServerOptions::default()
    })?;
    let mut client = program.client(&server.address(), &place)?;
    let failing = Step {
        status: 5,
        ..Step::new(Kind::Unary, ECHO, 25)
    };
    let made = client.run([Step::new(Kind::Unary, ECHO, 75), failing])?;
    observer.expect(Side::Server, &[], &made)?;

    let url = format!("http://{}/metrics", observer.address());
    let top = Command::new(daemon).args(["top", "--url", &url]).output()?;
    let text = String::from_utf8_lossy(&top.stdout);
    ensure!(top.status.success(), "{top:?}");
    let row: Vec<&str> = text
        .lines()
        .find(|line| line.contains(ECHO))
        .map_or_else(Vec::new, |line| line.split_whitespace().collect());
    ensure!(
        row.first() == Some(&"tonic-peer") && row.get(3) == Some(&"25.0%") && row.get(7) == Some(&"0"),
        "{text}"
    );
    client.quit()?;
    drop(server.quit()?);
    observer.stop()
}
