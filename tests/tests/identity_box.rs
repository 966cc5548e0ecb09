//! Names on a plain Linux box, by the whole daemon: processes that live for one call, and connections that are older
//! than the observer.

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rustix::process::Signal;
use tests::cgroup::Cgroup;
use tests::observer::{self, Observer};
use tests::prerequisite::{apt, or_skip};
use tests::process::{Place, Process};
use tests::scrape::Scrape;
use tests::wait;
use tests::workload::Language;
use tests::workload::peer::{Client, Server, ServerOptions};
use tests::workload::plan::{Kind, Step};

const LIMIT: Duration = Duration::from_mins(2);
const SERVER_CALLS: &str = "marty_grpc_requests_total";
const CLIENT_CALLS: &str = "marty_grpc_client_requests_total";
/// What the kernel calls the process of the workload.
const PEER: &str = "tonic-peer";

const COUNT: u64 = 1000;

/// Forks a process for each call: connects, asks, reads to the end of the answer, ends. Frames by hand, since a
/// library would take longer to load than the process is to live.
const SHORT: &str = r"
import ctypes, os, socket, struct, sys
ctypes.CDLL(None).prctl(15, b'short-client', 0, 0, 0)
port, count = int(sys.argv[1]), int(sys.argv[2])
def frame(kind, flags, stream, body): return struct.pack('>I', len(body))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + body
def field(name, value): return b'\0' + bytes([len(name)]) + name + bytes([len(value)]) + value
block = b''.join(field(n, v) for n, v in [(b':method', b'POST'), (b':scheme', b'http'), (b':path', b'/truth.v1.Truth/Echo'),
    (b':authority', b'box'), (b'content-type', b'application/grpc'), (b'te', b'trailers')])
said = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0, b'') + frame(1, 4, 1, block) + frame(0, 1, 1, bytes(5))
def read(s, length):
    data = b''
    while len(data) < length:
        more = s.recv(length - len(data))
        if not more: os._exit(2)
        data += more
    return data
def call():
    s = socket.create_connection(('127.0.0.1', port))
    s.sendall(said)
    while True:
        head = read(s, 9)
        read(s, int.from_bytes(head[:3], 'big'))
        if head[3] == 1 and head[4] & 1: os._exit(0)
failed = 0
for number in range(count):
    if os.fork() == 0:
        try: call()
        finally: os._exit(1)
    if number >= 8: failed += os.wait()[1] != 0
try:
    while True: failed += os.wait()[1] != 0
except ChildProcessError: pass
print('DONE', failed, flush=True)
sys.stdin.read()
";

/// Passes of the gauges, one a second, over which processor time is compared.
const PASSES: usize = 12;
/// What the gauges may be off.
const TOLERANCE: f64 = 0.02;

struct Box {
    observer: Observer,
    place: Place,
    // Goes last: it must be empty by then.
    _cgroup: Cgroup,
}

/// What ran before the observer did.
type Before = (Server, Client);

impl Box {
    /// With a server and a client of it that are connected before the observer starts.
    fn new(test: &str) -> Result<Option<(Self, Before)>> {
        let Some(program) = or_skip(test, Language::Rust.prepare()) else {
            return Ok(None);
        };
        let Some(_) = or_skip(test, observer::prepare()) else {
            return Ok(None);
        };
        let Some(cgroup) = or_skip(test, Cgroup::new()) else {
            return Ok(None);
        };
        let place = Place {
            cgroup: Some(cgroup.path().to_owned()),
            ..Place::default()
        };
        let server = program.server(&ServerOptions {
            place: place.clone(),
            ..ServerOptions::default()
        })?;
        let mut client = program.client(&server.address(), &place)?;
        client.run([Step::new(Kind::Unary, "/truth.v1.Truth/Echo", 5)])?;
        let root = cgroup.path().to_string_lossy();
        let observer = Observer::start(&["--cgroup-path", &root, "--gauge-interval", "1s"])?;
        let own = Self {
            observer,
            place,
            _cgroup: cgroup,
        };
        Ok(Some((own, (server, client))))
    }

    /// Until both sides have these calls under their names, and nobody has any other.
    fn expect(&self, server: u64, clients: &[(&str, u64)]) -> Result<Scrape> {
        wait::until(LIMIT, || {
            let scrape = self.observer.scrape().map_err(|error| error.to_string())?;
            let all: u64 = clients.iter().map(|(_, calls)| calls).sum();
            let mut expected = vec![
                (SERVER_CALLS, vec![("service", PEER)], server),
                (SERVER_CALLS, vec![], server),
            ];
            expected.push((CLIENT_CALLS, vec![], all));
            for (name, calls) in clients {
                expected.push((CLIENT_CALLS, vec![("service", name)], *calls));
            }
            for (family, labels, calls) in expected {
                let found = scrape.sum(family, &labels).round();
                if (found - f64::from(u32::try_from(calls).unwrap_or_default())).abs() > 0.5 {
                    return Err(format!(
                        "{family} {labels:?}: {found}{}",
                        scrape.candidates(family, &labels)
                    ));
                }
            }
            Ok(scrape)
        })
    }
}

#[test]
fn processes_that_live_for_one_call() -> Result<()> {
    let test = "processes_that_live_for_one_call";
    if or_skip(test, apt::install_for(&[("python3", "python3")])).is_none() {
        return Ok(());
    }
    let Some((own, before)) = Box::new(test)? else {
        return Ok(());
    };
    // They end before the cgroup goes, also when the test fails.
    let (server, client) = before;
    let port = server.port.to_string();
    let command = ["python3", "-c", SHORT, &port, &COUNT.to_string()].map(OsString::from);
    let mut short = Process::start(&command, &own.place)?;
    let begun = Instant::now();
    let failed = short.wait_for("DONE ", LIMIT)?;
    println!("{COUNT} processes in {:?}", begun.elapsed());
    ensure!(failed == "0", "{failed} calls failed");
    let scrape = own.expect(COUNT, &[("short-client", COUNT)])?;
    for sample in scrape.find(CLIENT_CALLS, &[]) {
        ensure!(sample.label("status") == "OK", "{sample}");
        ensure!(sample.label("peer") == PEER, "{sample}");
    }
    client.quit()?;
    server.quit()?;
    ensure!(own.observer.losses()?.is_empty(), "{:?}", own.observer.losses()?);
    own.observer.stop()
}

/// The observer stands still until they have all ended.
#[test]
fn whom_the_dead_called() -> Result<()> {
    const COUNT: u64 = 50;
    let test = "whom_the_dead_called";
    if or_skip(test, apt::install_for(&[("python3", "python3")])).is_none() {
        return Ok(());
    }
    let Some((own, (server, client))) = Box::new(test)? else {
        return Ok(());
    };
    let port = server.port.to_string();
    let command = ["python3", "-c", SHORT, &port, &COUNT.to_string()].map(OsString::from);
    own.observer.process.signal(Signal::STOP)?;
    let mut short = Process::start(&command, &own.place)?;
    let failed = short.wait_for("DONE ", LIMIT)?;
    own.observer.process.signal(Signal::CONT)?;
    ensure!(failed == "0", "{failed} calls failed");
    let scrape = own.expect(COUNT, &[("short-client", COUNT)])?;
    for sample in scrape.find(CLIENT_CALLS, &[]) {
        ensure!(sample.label("peer") == PEER, "{sample}");
    }
    client.quit()?;
    server.quit()?;
    own.observer.stop()
}

#[test]
fn connections_older_than_the_observer() -> Result<()> {
    let Some((own, before)) = Box::new("connections_older_than_the_observer")? else {
        return Ok(());
    };
    let (server, mut client) = before;
    client.run([Step::new(Kind::Unary, "/truth.v1.Truth/Echo", 50)])?;
    // How they ended is in old table entries; who made them is not.
    let scrape = own.expect(50, &[(PEER, 50)])?;
    for sample in scrape.find(CLIENT_CALLS, &[]) {
        ensure!(sample.label("peer") == PEER, "{sample}");
    }
    client.quit()?;
    server.quit()?;
    own.observer.stop()
}

/// Both programs are one service, and are busy with each other.
#[test]
fn processor_time_and_memory() -> Result<()> {
    let Some((own, before)) = Box::new("processor_time_and_memory")? else {
        return Ok(());
    };
    let (server, mut client) = before;
    let programs = [server.process.id(), client.process.id()];
    let labels = [("service", PEER)];
    let done = AtomicBool::new(false);
    let measured = std::thread::scope(|scope| {
        let load = scope.spawn(|| -> Result<()> {
            while !done.load(Ordering::Relaxed) {
                client.run([Step::new(Kind::Unary, "/truth.v1.Truth/Echo", 200)])?;
            }
            Ok(())
        });
        let measured = processor_time(&own.observer, &programs, &labels);
        done.store(true, Ordering::Relaxed);
        load.join().map_err(|_| anyhow!("the load has panicked"))??;
        measured
    });
    let (ours, kernel) = measured?;
    println!("processor: observer {ours:.2} %, kernel {kernel:.2} %");
    ensure!((ours / kernel - 1.0).abs() <= TOLERANCE, "{ours} of {kernel} %");

    // At rest it stands still.
    let memory = wait::until(LIMIT, || {
        let scrape = own.observer.scrape().map_err(|error| error.to_string())?;
        let ours = scrape.sum("marty_service_memory_usage_bytes", &labels);
        let kernel = programs.map(resident).iter().sum::<f64>();
        if (ours / kernel - 1.0).abs() <= TOLERANCE {
            Ok((ours, kernel))
        } else {
            Err(format!("{ours} of {kernel} bytes"))
        }
    })?;
    println!("memory: observer {} bytes, kernel {} bytes", memory.0, memory.1);
    client.quit()?;
    server.quit()?;
    own.observer.stop()
}

/// Percent of a core by the observer and by the kernel's books, over the same passes.
fn processor_time(observer: &Observer, programs: &[u32], labels: &[(&str, &str)]) -> Result<(f64, f64)> {
    let family = "marty_service_cpu_usage_percent";
    wait::until(LIMIT, || {
        let scrape = observer.scrape().map_err(|error| error.to_string())?;
        let there = scrape.find(family, labels).count() == 1;
        there
            .then_some(())
            .ok_or_else(|| "no processor time yet".to_owned())
    })?;
    let used = || programs.iter().map(|pid| ticks(*pid)).sum::<f64>();
    let mut scrape = next_pass(observer, &observer.scrape()?)?;
    let (begun, before) = (Instant::now(), used());
    let (mut last, mut ours) = (begun, 0.0);
    for _ in 0..PASSES {
        scrape = next_pass(observer, &scrape)?;
        let now = Instant::now();
        // The observer tells of an interval; they are not all equally long on a busy machine.
        ours += scrape.sum(family, labels) * (now - last).as_secs_f64();
        last = now;
    }
    let length = (last - begun).as_secs_f64();
    // Ticks are hundredths of a second, and percent of a second.
    Ok((ours / length, (used() - before) / length))
}

/// The first scrape after another pass: no two take equally long.
fn next_pass(observer: &Observer, before: &Scrape) -> Result<Scrape> {
    let cost = |scrape: &Scrape| scrape.sum("marty_observer_collection_seconds", &[]).to_bits();
    wait::until(LIMIT, || {
        let scrape = observer.scrape().map_err(|error| error.to_string())?;
        let another = cost(&scrape) != cost(before);
        another.then_some(scrape).ok_or_else(|| "no pass".to_owned())
    })
}

/// Processor time of a process since its beginning.
fn ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // utime and stime, counted from the state behind the name.
    fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum()
}

/// Bytes of memory that a process has.
fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = kibibytes.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    number.unwrap_or_default() * 1024.0
}
