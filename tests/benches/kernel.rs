//! What a packet costs in the kernel programs, next to an empty program of the same type that sees the same
//! packets. Counted by the kernel itself; run as root, by `cargo xtask bench`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aya::sys::{Stats, enable_stats};
use observer::probe::{Probe, Ring, Root};
use observer_ebpf::record::Direction;
use tests::capture::empty::Empty;
use tests::capture::group::Group;
use tests::capture::watch::attach;
use tests::prerequisite::or_skip;

/// Exchanges of one round, and rounds of which the cheapest counts: foreign load only ever adds.
const EXCHANGES: usize = 5_000;
const ROUNDS: usize = 7;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const LONGEST_FRAME: u32 = (1 << 24) - 1;

struct Bench {
    probe: Probe,
    ring: Ring,
    empty: [Empty; 2],
}

/// Two ends that speak in turn, in one thread: every packet carries data, and none waits for another process.
struct Talk<'a> {
    name: &'a str,
    open: Vec<[&'a [u8]; 2]>,
    each: [&'a [u8]; 2],
}

fn main() -> Result<()> {
    let Some(group) = or_skip("bench_kernel", Group::enter("bench")) else {
        return Ok(());
    };
    let begin = Instant::now();
    let Some((probe, ring)) = or_skip("bench_kernel", attach(Some(group.path()), 16 << 20)) else {
        return Ok(());
    };
    let attached = begin.elapsed();
    let verified = probe.verified_instructions();
    let most = verified.iter().max_by_key(|(_, count)| *count);
    let sum: u32 = verified.iter().map(|(_, count)| count).sum();
    println!("loaded and attached in {attached:.0?}, {sum} instructions verified, most in {most:?}");
    let _stats = enable_stats(Stats::RunTime).context("the kernel counts no run times")?;
    let root = Root::find(Some(group.path()))?;
    let attach = |direction| Empty::attach(root.as_fd(), direction);
    let empty = [attach(Direction::Ingress)?, attach(Direction::Egress)?];
    let mut bench = Bench { probe, ring, empty };
    println!(
        "{:<28}{:>10}{:>10}{:>8}{:>10}{:>10}{:>8}",
        "ns a packet", "ingress", "empty", "ratio", "egress", "empty", "ratio"
    );
    bench.udp()?;
    let head = |kind: u8, flags: u8, length: u32| {
        let [_, a, b, c] = length.to_be_bytes();
        [a, b, c, kind, flags, 0, 0, 0, 1]
    };
    let frame = |kind, flags, payload: &[u8]| [&head(kind, flags, payload.len() as u32), payload].concat();
    let block = [0x5a; 80];
    let body = head(0, 0, LONGEST_FRAME);
    let chunk = [0; 1000];
    let request = [frame(1, 4, &block), frame(0, 1, &[0; 32])].concat();
    let response = [
        frame(1, 4, &block[..40]),
        frame(0, 0, &[0; 32]),
        frame(1, 5, &block[..20]),
    ]
    .concat();
    let opened = [PREFACE, SETTINGS];
    bench.talk(&Talk {
        name: "not HTTP/2",
        open: vec![[b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"]],
        each: [b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"],
    })?;
    bench.talk(&Talk {
        name: "body",
        open: vec![opened, [&body, &body]],
        each: [&chunk, &chunk],
    })?;
    bench.talk(&Talk {
        name: "unary call",
        open: vec![opened],
        each: [&request, &response],
    })?;
    Ok(())
}

impl Bench {
    fn udp(&mut self) -> Result<()> {
        let [one, other] = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
        one.connect(other.local_addr()?)?;
        self.rounds("not TCP", || {
            one.send(b"0123456789")?;
            other.recv(&mut [0; 64])?;
            Ok(())
        })
    }

    fn talk(&mut self, talk: &Talk<'_>) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let mut buffer = vec![0; 1 << 16];
        let mut exchange = |[there, back]: [&[u8]; 2]| -> Result<()> {
            for (from, to, bytes) in [(&client, &server, there), (&server, &client, back)] {
                (&*from).write_all(bytes)?;
                (&*to).read_exact(&mut buffer[..bytes.len()])?;
            }
            Ok(())
        };
        for open in &talk.open {
            exchange(*open)?;
        }
        self.rounds(talk.name, || exchange(talk.each))
    }

    /// Measures `exchange` and prints its line.
    fn rounds(&mut self, name: &str, mut exchange: impl FnMut() -> Result<()>) -> Result<()> {
        let mut best = [[f64::MAX; 2]; 2];
        for _ in 0..ROUNDS {
            let before = self.runs()?;
            for _ in 0..EXCHANGES {
                exchange()?;
            }
            self.ring.drain(usize::MAX, |_, _| {});
            for (direction, (before, after)) in before.iter().zip(self.runs()?).enumerate() {
                for (which, ((runs, time), (runs_after, time_after))) in before.iter().zip(after).enumerate()
                {
                    let runs = u32::try_from(runs_after - runs)?.max(1);
                    let each = time_after.saturating_sub(*time).as_secs_f64() * 1e9 / f64::from(runs);
                    best[direction][which] = best[direction][which].min(each);
                }
            }
        }
        print!("{name:<28}");
        for [ours, empty] in best {
            print!("{ours:>10.0}{empty:>10.0}{:>8.1}", ours / empty);
        }
        println!();
        Ok(())
    }

    /// Runs and run times, by direction: of our program, and of the empty one.
    fn runs(&self) -> Result<[[(u64, Duration); 2]; 2]> {
        let ours = |wanted: &str| {
            let all = self.probe.programs();
            let mut all = all.into_iter().filter(|(name, ..)| name == wanted);
            all.next()
                .map(|(_, runs, time)| (runs, time))
                .context("a program is missing")
        };
        let [ingress, egress] = &self.empty;
        Ok([
            [ours("ingress")?, ingress.runs()?],
            [ours("egress")?, egress.runs()?],
        ])
    }
}
