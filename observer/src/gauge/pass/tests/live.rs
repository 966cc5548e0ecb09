//! Real processes and real databases on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::attribution::tests::program::Program;
use crate::skip::skipped;

fn collector(ports: Ports) -> (Collector, Arc<Mutex<Roster>>) {
    let settings = Settings {
        node: "node1".to_owned(),
        ..Settings::default()
    };
    let roster = Arc::<Mutex<Roster>>::default();
    (
        Collector::new(settings, ports, Arc::default(), Arc::clone(&roster)),
        roster,
    )
}

fn service(snapshot: &Snapshot, family: Family, kind: &str, name: &str) -> Option<f64> {
    let mut samples = snapshot.samples.iter().filter(|sample| {
        let named = sample
            .identity
            .as_ref()
            .is_some_and(|identity| &*identity.service == name);
        sample.family == family && &*sample.kind == kind && named
    });
    samples.next().map(|sample| sample.value)
}

/// What this process is called, where its connections are named by process.
fn own_name(test: &str) -> Option<Box<str>> {
    let processes = Processes::new("/proc");
    let membership = processes.membership(std::process::id()).unwrap_or_default();
    if !membership.place.is_empty() {
        let place = &membership.place;
        skipped(
            test,
            &format!("this process is in a unit or container: {place:?}"),
        );
        return None;
    }
    processes.stat(std::process::id()).map(|stat| stat.name)
}

#[test]
fn connections_at_rest_after_a_storm() {
    let Some(own) = own_name("connections_at_rest_after_a_storm") else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (mut collector, _) = collector(Ports::new([(port, "postgresql".to_owned())]));
    let mut held = Vec::new();
    for number in 0..1000 {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let accepted = listener.accept().unwrap();
        if number % 100 == 0 {
            held.push((stream, accepted));
        }
    }
    let snapshot = collector.pass(Instant::now());
    assert_eq!(
        service(&snapshot, Family::DatabaseConnections, "postgresql", &own),
        Some(10.0)
    );
    held.clear();
    let snapshot = collector.pass(Instant::now());
    assert_eq!(
        service(&snapshot, Family::DatabaseConnections, "postgresql", &own),
        Some(0.0),
        "told as none"
    );
}

/// A child that uses the processor: its own figures from procfs at both ends are the measure.
#[test]
fn processor_time_of_a_process_tree() {
    let mut command = Command::new("sh");
    // It ends with this process, whatever becomes of the test.
    let code = "while kill -0 $0; do :; done";
    command
        .arg("-c")
        .arg(format!("sh -c '{code}' $0 & echo $!; read end; kill $!"))
        .arg(std::process::id().to_string());
    let Some(mut child) = Program::start("processor_time_of_a_process_tree", command) else {
        return;
    };
    let busy: u32 = child.line().parse().unwrap();
    let processes = Processes::new("/proc");
    let (mut collector, roster) = collector(Ports::new([]));
    let mut identity = Identity::unknown("node1");
    identity.service = "busy".into();
    let account = Account::Process {
        pid: child.id(),
        started: processes.stat(child.id()).unwrap().started,
    };
    roster
        .lock()
        .unwrap()
        .enrol(account, &Arc::new(identity), None, Instant::now());
    let ticks = || processes.stat(busy).unwrap().cpu_ticks;
    let start = Instant::now();
    let outer_before = ticks();
    collector.pass(start);
    let before = ticks();
    while ticks() < before + 100 {
        std::thread::yield_now();
    }
    let end = Instant::now();
    let low = ticks() - before;
    let snapshot = collector.pass(end);
    let high = ticks() - outer_before;
    drop(child);
    let percent = service(&snapshot, Family::ServiceCpu, "", "busy").unwrap();
    let seconds = percent / 100.0 * (end - start).as_secs_f64();
    // What the pass saw lies between what was seen before and after it, and two percent.
    let (low, high) = (to_f64(low) / 100.0 * 0.98, to_f64(high) / 100.0 * 1.02);
    assert!((low..=high).contains(&seconds), "{seconds} not in {low}..{high}");
}

struct Server {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Politely: the children of PostgreSQL end with their master then.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Until it is so; the server's own answers are what is waited for.
fn until(what: &str, server: &mut Server, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(server.child.try_wait().unwrap().is_none(), "the server ended");
        assert!(start.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn as_many_as_redis_says() {
    let Some(own) = own_name("as_many_as_redis_says") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn();
    let Ok(child) = child else {
        skipped(
            "as_many_as_redis_says",
            "no redis-server here (Debian: redis-server)",
        );
        return;
    };
    let mut server = Server {
        child,
        _folder: folder,
    };
    until("redis does not listen", &mut server, || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let mut asking = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for _ in 0..1000 {
        TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
    let _held: Vec<_> = (0..7)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    let (mut collector, _) = collector(Ports::new([(port, "redis".to_owned())]));
    until("redis does not come to rest", &mut server, || {
        redis_clients(&mut asking) == 8
    });
    let snapshot = collector.pass(Instant::now());
    assert_eq!(
        service(&snapshot, Family::DatabaseConnections, "redis", &own),
        Some(8.0)
    );
}

/// `CLIENT LIST` answers one line for each, in one bulk string.
fn redis_clients(stream: &mut TcpStream) -> usize {
    stream.write_all(b"CLIENT LIST\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut length = String::new();
    reader.read_line(&mut length).unwrap();
    let length: usize = length.trim().trim_start_matches('$').parse().unwrap();
    let mut text = vec![0; length + 2];
    reader.read_exact(&mut text).unwrap();
    String::from_utf8(text)
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("id="))
        .count()
}

/// Debian keeps the server's programs out of the path.
fn postgres_programs() -> Option<std::path::PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .find(|path| path.join("initdb").exists())
}

/// `PostgreSQL` refuses to run as root; `setpriv` comes with every Debian.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program);
    command
}

#[test]
fn as_many_as_postgresql_says() {
    let Some(programs) = postgres_programs() else {
        skipped(
            "as_many_as_postgresql_says",
            "no PostgreSQL server here (Debian: postgresql)",
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).unwrap();
    let data = folder.path().join("data");
    let made = as_nobody(&programs.join("initdb"))
        .args(["-U", "marty", "-A", "trust", "--no-sync", "-D"])
        .arg(&data)
        .current_dir("/")
        .output();
    if !made.as_ref().is_ok_and(|output| output.status.success()) {
        skipped(
            "as_many_as_postgresql_says",
            &format!("initdb does not run here: {made:?}"),
        );
        return;
    }
    let port = free_port();
    let child = as_nobody(&programs.join("postgres"))
        .args([
            "-p",
            &port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-F",
            "-k",
            "",
            "-D",
        ])
        .arg(&data)
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut server = Server {
        child,
        _folder: folder,
    };
    let mut psql = Command::new("psql");
    let query = "select count(*) from pg_stat_activity where client_port > 0";
    psql.args([
        "-h",
        "127.0.0.1",
        "-U",
        "marty",
        "-d",
        "postgres",
        "-At",
        "-c",
        query,
    ])
    .arg("-p")
    .arg(port.to_string());
    let mut count = move || {
        let output = psql.output().unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse::<u64>()
            .ok()
    };
    until("postgres does not answer", &mut server, || count().is_some());
    for _ in 0..1000 {
        drop(login(port));
    }
    let held: Vec<_> = (0..7).map(|_| login(port)).collect();
    // It counts itself.
    until("postgres does not come to rest", &mut server, || {
        count() == Some(8)
    });
    let (mut collector, _) = collector(Ports::new([(port, "postgresql".to_owned())]));
    let snapshot = collector.pass(Instant::now());
    let sum: f64 = snapshot
        .samples
        .iter()
        .filter(|sample| sample.family == Family::DatabaseConnections)
        .map(|sample| sample.value)
        .sum();
    assert!((sum - 7.0).abs() < f64::EPSILON, "{sum}");
    drop(held);
}

/// The startup message of the protocol, and its answer up to "ready for query".
fn login(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let body = b"\0\x03\0\0user\0marty\0database\0postgres\0\0";
    let length = u32::try_from(body.len() + 4).unwrap();
    stream.write_all(&length.to_be_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"Z\0\0\0\x05I") {
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    stream
}

/// Three connections to a database within a network namespace of its own, like a pod's.
#[test]
fn connections_in_another_network_namespace() {
    let code = "
import ctypes, socket, subprocess, sys
if ctypes.CDLL(None).unshare(0x40000000) != 0: print('denied', flush=True); sys.exit()
try: subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
except Exception: print('denied', flush=True); sys.exit()
s = socket.socket(); s.bind(('127.0.0.1', 27017)); s.listen()
c = [socket.create_connection(s.getsockname()) for i in range(3)]
print('ready', flush=True)
sys.stdin.read()";
    let test = "connections_in_another_network_namespace";
    let Some(mut child) = Program::python(test, code, &[]) else {
        return;
    };
    if child.line() != "ready" {
        skipped(test, "no network namespace may be made here");
        return;
    }
    let (mut collector, roster) = collector(Ports::default());
    let mut identity = Identity::unknown("node1");
    identity.service = "elsewhere".into();
    let started = Processes::new("/proc").stat(child.id()).unwrap().started;
    let account = Account::Process {
        pid: child.id(),
        started,
    };
    roster
        .lock()
        .unwrap()
        .enrol(account, &Arc::new(identity), Some(27017), Instant::now());
    let snapshot = collector.pass(Instant::now());
    drop(child);
    assert_eq!(
        service(&snapshot, Family::DatabaseConnections, "mongodb", "elsewhere"),
        Some(3.0)
    );
    assert_eq!(
        service(&snapshot, Family::ServiceHealth, "", "elsewhere"),
        Some(1.0)
    );
    let memory = service(&snapshot, Family::ServiceMemory, "", "elsewhere").unwrap();
    assert!(memory > 1e6, "{memory}");
}
