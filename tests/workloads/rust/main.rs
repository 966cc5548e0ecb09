//! Rust workload: tonic as server or client. The protocol is in `../README.md`.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

mod client;
mod metrics;
mod raw;
mod server;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(run(std::env::args().skip(1).collect()));
    // Before the runtime is dropped: that would wait for the thread that reads standard input.
    match ended {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{error:#}");
            std::process::exit(1)
        }
    }
}

async fn run(mut arguments: Vec<String>) -> anyhow::Result<()> {
    if arguments.is_empty() {
        bail!("usage: tonic-peer server|client …");
    }
    let role = arguments.remove(0);
    let address = (role == "client" && !arguments.is_empty()).then(|| arguments.remove(0));
    let options = Options::parse(&arguments)?;
    let limit = options.number("limit-s", 300)?;
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(limit)).await;
        std::process::exit(3)
    });
    let mut storm = signal(SignalKind::user_defined2())?;
    tokio::spawn(async move { while storm.recv().await.is_some() {} });
    match (role.as_str(), address) {
        ("server", _) => server::run(&options).await,
        ("client", Some(address)) => client::run(&address).await,
        _ => bail!("usage: tonic-peer server|client …"),
    }
}

/// `--name value`, all of them.
#[derive(Debug)]
pub struct Options(HashMap<String, String>);

impl Options {
    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let pair = |pair: &[String]| match pair {
            [name, value] => {
                let name = name
                    .strip_prefix("--")
                    .with_context(|| format!("{name} is not an option"))?;
                Ok((name.to_owned(), value.clone()))
            }
            _ => bail!("an option without a value"),
        };
        arguments
            .chunks(2)
            .map(pair)
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    pub fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).map_or(default, String::as_str).to_owned()
    }

    pub fn number(&self, name: &str, default: u64) -> anyhow::Result<u64> {
        self.0.get(name).map_or(Ok(default), |value| {
            value.parse().with_context(|| format!("--{name} {value}"))
        })
    }
}
