//! How much longer calls take at half of the load that a server can bear: calls begin by the clock, whatever became of the
//! ones before, and each is timed from when it should have begun.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::pair::{Pair, SATURATED};
use super::spread::Spread;
use super::whole::Site;
use crate::process::{Place, Process};
use crate::workload::Program;
use crate::workload::peer::ServerOptions;

/// How this program is started as the client.
pub const CLIENT: &str = "paced-client";
const LIMIT: Duration = Duration::from_mins(2);
/// The crate h2 takes many small frames that nobody has read yet for an attack, and on a busy machine they
/// gather on one connection: it may hold this much of them.
const CONNECTIONS: usize = 8;
const UNREAD: usize = 1 << 26;
const METHOD: &str = "/truth.v1.Truth/Echo";

/// A run's middle call and its slow ones, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
}

/// Rounds of: without, without again, with. The first two show how equal equal runs are.
#[derive(Debug)]
pub struct Latencies {
    pub rate: u32,
    pub rounds: Vec<[Latency; 3]>,
}

impl Latencies {
    pub fn spread(&self, figure: impl Fn(&[Latency; 3]) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(figure))
    }
}

pub fn measure(site: &Site, program: &Program, rounds: usize, time: Duration) -> Result<Latencies> {
    let (alone, watched) = (site.alone(), site.watched());
    let pair = Pair::both(program);
    let calls = pair.calibrate(&alone, SATURATED, time)?;
    let taken = pair.run(&alone, SATURATED, [calls / 4, calls], None)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "calls a second"
    )]
    let rate = (f64::from(calls) / taken.wall.as_secs_f64() / 2.0).max(10.0) as u32;
    let run = |place: &Place| one(program, place, rate, time);
    let mut all = Vec::new();
    for round in 0..rounds {
        // Each place comes first as often as last.
        all.push(if round % 2 == 0 {
            [run(&alone)?, run(&alone)?, run(&watched)?]
        } else {
            let with = run(&watched)?;
            [run(&alone)?, run(&alone)?, with]
        });
    }
    Ok(Latencies { rate, rounds: all })
}

fn one(program: &Program, place: &Place, rate: u32, time: Duration) -> Result<Latency> {
    let server = program.server(&ServerOptions {
        place: place.clone(),
        ..ServerOptions::default()
    })?;
    let (this, address) = (std::env::current_exe()?, server.address());
    let command = [
        this.into(),
        CLIENT.into(),
        address.into(),
        rate.to_string().into(),
        time.as_millis().to_string().into(),
    ];
    let mut client = Process::start(&command, place)?;
    let told = client.wait_for("TOOK ", LIMIT)?;
    ensure!(
        client.wait(LIMIT)?.success(),
        "the client failed{}",
        client.report()
    );
    server.quit()?;
    parse(&told).with_context(|| format!("the client said {told:?}"))
}

fn parse(told: &str) -> Option<Latency> {
    let (p50, p99) = told.split_once(' ')?;
    Some(Latency {
        p50: p50.parse().ok()?,
        p99: p99.parse().ok()?,
    })
}

/// The client: `ADDRESS RATE MILLISECONDS`. A quarter of the time goes before the calls that are timed.
pub fn client(arguments: &[&str]) -> Result<()> {
    let [address, rate, milliseconds] = arguments else {
        anyhow::bail!("ADDRESS RATE MILLISECONDS");
    };
    let (rate, milliseconds): (u32, u32) = (rate.parse()?, milliseconds.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut took = runtime.block_on(calls(address, rate, Duration::from_millis(milliseconds.into())))?;
    took.sort_unstable();
    let Latency { p50, p99 } = quantiles(&took).context("no calls")?;
    println!("TOOK {p50} {p99}");
    Ok(())
}

fn quantiles(sorted: &[Duration]) -> Option<Latency> {
    let at = |percent: usize| {
        let place = sorted.len() * percent / 100;
        let took = sorted.get(place.min(sorted.len().checked_sub(1)?))?;
        Some(took.as_secs_f64() * 1e6)
    };
    Some(Latency {
        p50: at(50)?,
        p99: at(99)?,
    })
}

async fn calls(address: &str, rate: u32, time: Duration) -> Result<Vec<Duration>> {
    let (mut senders, mut connections) = (Vec::new(), JoinSet::new());
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut builder = h2::client::Builder::new();
        builder.data_frame_budget(UNREAD);
        let (sender, connection) = builder.handshake(stream).await?;
        connections.spawn(connection);
        senders.push(sender.ready().await?);
    }
    let mut turns = senders.iter().cycle();
    let (before, pause) = (time / 4, Duration::from_secs(1) / rate);
    let begin = Instant::now();
    let (mut running, mut took, mut number) = (JoinSet::new(), Vec::new(), 0_u32);
    loop {
        let due = begin + pause * number;
        if due >= begin + before + time {
            break;
        }
        // To the microsecond: the runtime's own timers are of milliseconds.
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            if left > Duration::from_millis(2) {
                let soon = due.checked_sub(Duration::from_millis(2)).unwrap_or(due);
                tokio::time::sleep_until(soon.into()).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
        number += 1;
        let sender = turns.next().context("no connection")?.clone();
        let address = address.to_owned();
        running.spawn(async move {
            call(sender, &address).await?;
            anyhow::Ok((due, due.elapsed()))
        });
        while let Some(done) = running.try_join_next() {
            took.push(done??);
        }
    }
    while let Some(done) = running.join_next().await {
        took.push(done??);
    }
    connections.shutdown().await;
    Ok(took
        .into_iter()
        .filter(|(due, _)| *due >= begin + before)
        .map(|(_, took)| took)
        .collect())
}

/// A unary call with a message of 16 bytes, to the end of its answer.
async fn call(sender: h2::client::SendRequest<Bytes>, address: &str) -> Result<()> {
    let request = Request::post(format!("http://{address}{METHOD}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let mut sender = sender.ready().await?;
    let (answer, mut body) = sender.send_request(request, false)?;
    let message = [&[0, 0, 0, 0, 16][..], &[0; 16]].concat();
    body.send_data(Bytes::from(message), true)?;
    let mut answer = answer.await?.into_body();
    while let Some(piece) = answer.data().await {
        answer.flow_control().release_capacity(piece?.len())?;
    }
    let trailers = answer.trailers().await?.context("an answer without trailers")?;
    let status = trailers.get("grpc-status").context("no status")?;
    ensure!(status == "0", "status {status:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_sorted_times() {
        let times: Vec<Duration> = (0..200).map(Duration::from_micros).collect();
        assert_eq!(
            quantiles(&times),
            Some(Latency {
                p50: 100.0,
                p99: 198.0
            })
        );
        let one = quantiles(&[Duration::from_micros(7)]);
        assert_eq!(one, Some(Latency { p50: 7.0, p99: 7.0 }));
        assert_eq!(quantiles(&[]), None);
    }

    #[test]
    fn what_the_client_says() {
        let expected = Latency {
            p50: 80.5,
            p99: 300.0,
        };
        assert_eq!(parse("80.5 300"), Some(expected));
        assert_eq!(parse("80.5"), None);
    }
}
