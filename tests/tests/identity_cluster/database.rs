//! Connections to a database between pods, each in a network namespace of its own: as many as the database says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context as _, Result};
use tests::wait;

use super::cluster::NAMESPACE;
use super::manifest::{self, REDIS_IMAGE};
use super::stage::{LIMIT, Stage};
use super::{same, whole};

const HELD: u32 = 7;
const STORM: u32 = 1000;
const FAMILY: &str = "marty_database_connections_active";

#[test]
fn as_many_connections_between_pods_as_redis_says() -> Result<()> {
    let test = "as_many_connections_between_pods_as_redis_says";
    let Some(stage) = Stage::set(test)? else {
        return Ok(());
    };
    let server = Path::new("/usr/bin/redis-server");
    if !server.exists() {
        tests::skip::skipped(test, "no redis-server here (Debian: redis-server)");
        return Ok(());
    }
    stage.cluster.image(REDIS_IMAGE, server)?;
    stage.cluster.apply(&[manifest::redis("cache")])?;
    stage.ready(&["pod/cache"])?;
    let address = stage.address_of("cache")?;
    stage
        .cluster
        .apply(&[manifest::redis_reader("reader", &address, STORM, HELD)])?;
    let mut asking = TcpStream::connect((address.as_str(), 6379))?;
    wait::until(LIMIT, || {
        let told = stage
            .cluster
            .inside(&["logs", "reader"])
            .map_err(|error| error.to_string())?;
        // This test's own connection is one more.
        let clients = clients(&mut asking).map_err(|error| error.to_string())?;
        if told.contains("READY") && clients == u64::from(HELD) + 1 {
            Ok(())
        } else {
            Err(format!("{clients} clients, the reader says {told:?}"))
        }
    })?;
    let scrape = stage.until(|scrape| {
        let reader = [
            ("service", "reader"),
            ("pod", "reader"),
            ("database", "redis"),
            ("namespace", NAMESPACE),
        ];
        same(
            "connections of the reader",
            whole(scrape.sum(FAMILY, &reader)),
            u64::from(HELD),
        )
    })?;
    let others = scrape.find(FAMILY, &[("database", "redis")]);
    let others: Vec<_> = others.filter(|sample| sample.label("pod") != "reader").collect();
    anyhow::ensure!(others.is_empty(), "{others:?}");
    stage
        .cluster
        .inside(&["delete", "pod", "reader", "--grace-period=1"])?;
    stage.until(|scrape| {
        same(
            "after the reader has gone",
            whole(scrape.sum(FAMILY, &[("pod", "reader")])),
            0,
        )
    })?;
    stage.cluster.clean()
}

/// `CLIENT LIST` answers one line for each, in one bulk string.
fn clients(stream: &mut TcpStream) -> Result<u64> {
    stream.write_all(b"CLIENT LIST\r\n")?;
    let mut reader = BufReader::new(stream);
    let mut length = String::new();
    reader.read_line(&mut length)?;
    let length: usize = length
        .trim()
        .trim_start_matches('$')
        .parse()
        .context("a length")?;
    let mut text = vec![0; length + 2];
    reader.read_exact(&mut text)?;
    let text = String::from_utf8(text)?;
    Ok(text.lines().filter(|line| line.starts_with("id=")).count() as u64)
}
