//! What is no gRPC, without and with the observer: a bulk transfer, and small requests and answers (Redis).

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::cpu;
use super::pair::Taken;
use super::whole::{Site, Turns};
use crate::prerequisite::{Error, apt};
use crate::process::{Place, Process};

/// How this program is started as one end of a bulk transfer.
pub const SINK: &str = "bulk-sink";
pub const SOURCE: &str = "bulk-source";
const CHUNK: usize = 64 << 10;
/// Of one transfer, in units of 64 KiB, which are its "calls": 2 GiB.
pub const CHUNKS: u32 = 32 << 10;
const LIMIT: Duration = Duration::from_mins(2);

/// Reads until the end, and says so.
pub fn sink() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("READY {}", listener.local_addr()?);
    let (mut connection, _) = listener.accept()?;
    let mut buffer = vec![0; CHUNK];
    let mut sum = 0_u64;
    loop {
        match connection.read(&mut buffer)? {
            0 => break,
            read => sum += read as u64,
        }
    }
    println!("DONE {sum}");
    // Until the other process has read our clock.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

pub fn source(address: &str, chunks: u32) -> Result<()> {
    let mut connection = TcpStream::connect(address)?;
    let buffer = vec![0x5a; CHUNK];
    for _ in 0..chunks {
        connection.write_all(&buffer)?;
    }
    drop(connection);
    println!("DONE");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn clock(observer: Option<u32>) -> Result<Duration> {
    observer.map_or(Ok(Duration::ZERO), cpu::of)
}

/// A transfer of so many chunks.
pub fn transfer(place: &Place, observer: Option<u32>, chunks: u32) -> Result<Taken> {
    let this = std::env::current_exe()?;
    let mut sink = Process::start(&[this.clone().into(), SINK.into()], place)?;
    let address = sink.wait_for("READY ", LIMIT)?;
    let before = clock(observer)?;
    let begin = Instant::now();
    let mut source = Process::start(
        &[
            this.into(),
            SOURCE.into(),
            address.into(),
            chunks.to_string().into(),
        ],
        place,
    )?;
    source.wait_for("DONE", LIMIT)?;
    let sum: u64 = sink.wait_for("DONE ", LIMIT)?.parse()?;
    let wall = begin.elapsed();
    ensure!(sum == u64::from(chunks) * CHUNK as u64, "{sum} bytes arrived");
    Ok(Taken {
        calls: chunks,
        wall,
        server: cpu::of(sink.id())?,
        client: cpu::of(source.id())?,
        observer: clock(observer)?.saturating_sub(before),
        observer_late: Duration::ZERO,
        observer_waits: 0,
    })
}

pub fn bulk(site: &Site, rounds: usize) -> Result<Turns> {
    let (alone, watched) = (site.alone(), site.watched());
    Turns::take(
        rounds,
        || transfer(&alone, None, CHUNKS),
        || transfer(&watched, Some(site.observer.process.id()), CHUNKS),
    )
}

/// One connection, one PING after the other.
fn pings(place: &Place, observer: Option<u32>, count: u32) -> Result<Taken> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let server = [
        "redis-server",
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ];
    let mut server = Process::start(&server.map(Into::into), place)?;
    while !server.read_line(LIMIT)?.contains("eady to accept connections") {}
    let before = (cpu::of(server.id())?, clock(observer)?);
    let begin = Instant::now();
    let number = count.to_string();
    let client = [
        "redis-benchmark",
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-c",
        "1",
        "-n",
        &number,
        "-t",
        "ping_mbulk",
        "-q",
    ];
    let mut client = Process::start(&client.map(Into::into), place)?;
    while !client.read_line(LIMIT)?.contains("requests per second") {}
    // Also of a process that has ended, as long as nobody has asked for its exit code.
    let took = cpu::of(client.id())?;
    let wall = begin.elapsed();
    client.wait(LIMIT).context("redis-benchmark")?;
    Ok(Taken {
        calls: count,
        wall,
        server: cpu::of(server.id())?.saturating_sub(before.0),
        client: took,
        observer: clock(observer)?.saturating_sub(before.1),
        observer_late: Duration::ZERO,
        observer_waits: 0,
    })
}

pub fn redis(site: &Site, rounds: usize, count: u32) -> Result<Turns, Error> {
    apt::install_for(&[
        ("redis-server", "redis-server"),
        ("redis-benchmark", "redis-tools"),
    ])?;
    let (alone, watched) = (site.alone(), site.watched());
    let turns = Turns::take(
        rounds,
        || pings(&alone, None, count),
        || pings(&watched, Some(site.observer.process.id()), count),
    );
    turns.map_err(|error| Error::Broken(format!("{error:#}")))
}
