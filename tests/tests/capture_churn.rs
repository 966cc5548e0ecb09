//! Many connections, open at once and one after the other: when they are gone, so is what was kept of them, in the
//! kernel and in this process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use observer::probe::Probe;
use observer_ebpf::loss::Loss;
use observer_ebpf::record::{Close, Kind, Record};
use rustix::net::sockopt::{Timeout, set_socket_linger, set_socket_timeout};
use rustix::net::{AddressFamily, SocketType, bind, connect, listen, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::capture::kernel::map_bytes;
use tests::capture::script::http2;
use tests::capture::watch::attach;
use tests::prerequisite::{Error, or_skip};
use tests::process::{Place, Process};
use tests::skip::skipped;

const OPEN: usize = 10_000;
const LIMIT: Duration = Duration::from_mins(1);
const PER_SECOND: u32 = 1000;
/// What may be left: slab caches, and what others on this machine do meanwhile. A leak of one socket's storage
/// (two maps, about 450 bytes with their heads, two sockets a connection) on every connection would be 36 MB.
const MAX_LEFT: i64 = 16 << 20;

/// Both tests measure the memory of this one process.
static ALONE: Mutex<()> = Mutex::new(());

#[derive(Debug, Clone, Copy)]
struct Memory {
    /// Unreclaimable slab of the machine: where socket storage and held segments are.
    kernel: i64,
    /// Resident, of this process.
    own: i64,
    /// What the maps of this process hold, as they say themselves; socket storage is not in it.
    maps: u64,
}

fn memory() -> Memory {
    let kilobytes = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<i64>().unwrap() * 1024
    };
    Memory {
        kernel: kilobytes("/proc/meminfo", "SUnreclaim:"),
        own: kilobytes("/proc/self/status", "VmRSS:"),
        maps: map_bytes().unwrap(),
    }
}

/// The memory when it has come to rest: the kernel frees late. Returns at once when `enough`, else after a while.
fn settled(enough: impl Fn(Memory) -> bool) -> Memory {
    let begin = Instant::now();
    loop {
        let now = memory();
        if enough(now) || begin.elapsed() > Duration::from_secs(30) {
            return now;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// A client that may have any of 127/8, so that ports suffice.
fn client(number: usize, to: SocketAddr) -> TcpStream {
    let from = Ipv4Addr::new(127, 0, 1, (number % 200) as u8 + 1);
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((from, 0))).unwrap();
    connect(&socket, &to).unwrap();
    socket.into()
}

fn messages() -> [Vec<u8>; 2] {
    [http2(true, 2, 1), http2(false, 2, 2)]
}

/// One connection with a call on it, from its beginning to its end. It ends in a reset, but for every tenth: sockets
/// in `TIME_WAIT` would stay for a minute, and be taken for a leak.
fn call(listener: &TcpListener, number: usize, bytes: &[Vec<u8>; 2]) {
    let mut client = client(number, listener.local_addr().unwrap());
    let [there, back] = bytes;
    client.write_all(there).unwrap();
    let server = answer(listener, bytes);
    client.read_exact(&mut vec![0; back.len()]).unwrap();
    if !number.is_multiple_of(10) {
        set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    }
    drop((client, server));
}

fn enough_files() -> bool {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).is_ok() && limit.maximum.is_none_or(|most| most >= OPEN as u64 + 200)
}

/// The programs at work, and a reader that remembers a connection only until its end is told.
struct Attached {
    probe: Probe,
    stop: Arc<AtomicBool>,
    drain: JoinHandle<Connections>,
}

#[derive(Default)]
struct Connections {
    open: HashSet<u64>,
    ended: u64,
}

impl Attached {
    fn new() -> Result<Self, Error> {
        let (probe, mut ring) = attach(None, 16 << 20)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let drain = std::thread::spawn(move || {
            let mut connections = Connections::default();
            loop {
                let last = stopped.load(Ordering::Acquire);
                if ring.drain(usize::MAX, |record, _| connections.take(record)) > 0 {
                    continue;
                }
                if last {
                    return connections;
                }
                std::thread::park_timeout(Duration::from_millis(1));
            }
        });
        Ok(Self { probe, stop, drain })
    }

    fn losses(&self) -> Vec<(Loss, u64)> {
        self.probe.losses().filter(|(_, count)| *count > 0).collect()
    }

    /// Compares with `before` once everything is closed; `made` sockets have to have ended.
    fn finish(self, test: &str, before: Memory, made: u64) {
        let back = |now: Memory| now.kernel - before.kernel < MAX_LEFT / 4;
        let after = settled(back);
        let losses = self.losses();
        self.stop.store(true, Ordering::Release);
        let Connections { open, ended } = self.drain.join().unwrap();
        println!(
            "{test}: {before:?} -> {after:?}, {ended} ends told, {} missing, losses {losses:?}",
            open.len()
        );
        assert_eq!(after.maps, before.maps, "{test}: maps have grown");
        assert!(
            after.kernel - before.kernel < MAX_LEFT,
            "{test}: kernel memory {before:?} -> {after:?}"
        );
        assert!(
            after.own - before.own < MAX_LEFT,
            "{test}: own memory {before:?} -> {after:?}"
        );
        assert!(ended >= made, "{test}: {ended} ends of {made} sockets were told");
        assert_eq!(losses, [], "{test}");
    }
}

impl Connections {
    fn take(&mut self, record: &Record) {
        let gone = record.frame_type == Close::Gone as u8 || record.frame_type == Close::Released as u8;
        match Kind::from_raw(record.kind) {
            Some(Kind::Closed) if gone => self.ended += u64::from(self.open.remove(&record.connection)),
            Some(Kind::Socket) => drop(self.open.insert(record.connection)),
            _ => {}
        }
    }
}

fn listener() -> TcpListener {
    // More than std asks for, or the handshakes of a burst would be thrown away.
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    listen(&socket, 4096).unwrap();
    socket.into()
}

/// Set, to the address to connect to, in the child that holds the clients: one process may not have enough files.
const CHILD: &str = "OBSERVER_TEST_CHILD";

/// No test by itself: ten thousand clients, until it is told to close them.
#[test]
fn child() {
    let Ok(address) = std::env::var(CHILD) else { return };
    let (address, bytes) = (address.parse().unwrap(), messages());
    assert!(enough_files());
    let all: Vec<TcpStream> = (0..OPEN).map(|number| ask(number, address, &bytes)).collect();
    println!("\nopen");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop(all);
}

fn ask(number: usize, address: SocketAddr, [there, back]: &[Vec<u8>; 2]) -> TcpStream {
    let mut client = client(number, address);
    client.write_all(there).unwrap();
    client.read_exact(&mut vec![0; back.len()]).unwrap();
    client
}

fn answer(listener: &TcpListener, [there, back]: &[Vec<u8>; 2]) -> TcpStream {
    // A client that has failed does not come.
    set_socket_timeout(listener, Timeout::Recv, Some(LIMIT)).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(LIMIT)).unwrap();
    server.read_exact(&mut vec![0; there.len()]).unwrap();
    server.write_all(back).unwrap();
    server
}

#[test]
fn ten_thousand_open_connections() {
    let test = "ten_thousand_open_connections";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !enough_files() {
        return skipped(test, "not enough file descriptors allowed (ulimit -Hn)");
    }
    let Some(attached) = or_skip(test, Attached::new()) else {
        return;
    };
    let (listener, bytes) = (listener(), messages());
    let assignment = format!("{CHILD}={}", listener.local_addr().unwrap());
    let this = std::env::current_exe().unwrap();
    // Once round before, so that what only grows (slab pages, buffers) has grown.
    for round in 0..2 {
        let before = memory();
        let command = [
            "env",
            &assignment,
            this.to_str().unwrap(),
            "child",
            "--exact",
            "--nocapture",
        ];
        let mut clients = Process::start(&command.map(OsString::from), &Place::default()).unwrap();
        let all: Vec<_> = (0..OPEN).map(|_| answer(&listener, &bytes)).collect();
        clients.wait_for("open", LIMIT).unwrap();
        println!("{test}: round {round}, all open: {:?}", memory());
        clients.write_line("").unwrap();
        clients.wait(LIMIT).unwrap();
        drop(all);
        if round == 1 {
            return attached.finish(test, before, 4 * OPEN as u64);
        }
        settled(|now| now.kernel - before.kernel < MAX_LEFT / 4);
    }
}

#[test]
fn thousand_connections_a_second() {
    let test = "thousand_connections_a_second";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(attached) = or_skip(test, Attached::new()) else {
        return;
    };
    let seconds: u32 = std::env::var("OBSERVER_CHURN_SECONDS").map_or(30, |text| text.parse().unwrap());
    let (listener, bytes) = (listener(), messages());
    (0..1000).for_each(|number| call(&listener, number, &bytes));
    let (before, begin) = (memory(), Instant::now());
    let count = PER_SECOND * seconds;
    for number in 0..count {
        call(&listener, number as usize, &bytes);
        let due = begin + Duration::from_secs(1) * number / PER_SECOND;
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(early);
        }
    }
    println!("{test}: {count} connections in {:?}", begin.elapsed());
    attached.finish(test, before, 2 * u64::from(count));
}
