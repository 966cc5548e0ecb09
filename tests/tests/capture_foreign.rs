//! Traffic that is not HTTP/2 is never taken for it: from its beginning, and joined in the middle. And whatever it was
//! taken for, the daemon is told when it ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use observer_ebpf::record::{Protocol, SETTINGS};
use tests::capture::foreign::{
    Server, Talk, binary, free_port, http1, own, postgres, redis, tls, wait_for_ends, web_socket,
};
use tests::capture::seen::Seen;
use tests::capture::watch::Watch;
use tests::prerequisite::{Error, apt, get, or_skip};

/// Steps before the observer comes, and behind: more than the segments after which a connection is given up.
const BEFORE: usize = 20;
const BEHIND: usize = 2500;
/// Connections of each kind.
const EACH: usize = 4;

/// Runs connections that are older than the observer and such that are not; asserts that none is taken for HTTP/2,
/// that every socket of those seen from the start is taken for `expected`, those of the older ones for `joined_as`, and
/// that all are told to have ended.
fn check(test: &str, open: impl Fn(u64) -> Talk, expected: Protocol, joined_as: Protocol) {
    let mut talks: Vec<Talk> = (0..EACH).map(|number| open(number as u64)).collect();
    for talk in &mut talks {
        talk.step(BEFORE).unwrap();
    }
    let Some(watch) = or_skip(test, Watch::start()) else {
        return;
    };
    let fresh: Vec<Talk> = (0..EACH).map(|number| open(1000 + number as u64)).collect();
    talks.extend(fresh);
    for talk in &mut talks {
        talk.step(BEHIND).unwrap();
    }
    let mut ports: Vec<u16> = talks.iter().map(|talk| talk.port).collect();
    ports.dedup();
    drop(talks);
    wait_for_ends(&ports).unwrap();
    let (seen, _) = watch.finish();
    let [joined, whole] = verdicts(&seen, &ports);
    println!("{test}: joined {joined:?}, from the start {whole:?}");
    // Both sockets of each connection. Whether a server listens yet is asked by connections too.
    let named = |protocol: Protocol| vec![format!("{protocol:?}")];
    assert_eq!(
        whole.keys().cloned().collect::<Vec<_>>(),
        named(expected),
        "{test}: from the start"
    );
    assert!(
        whole.values().sum::<usize>() >= 2 * EACH,
        "{test}: from the start {whole:?}"
    );
    assert_eq!(
        joined.keys().cloned().collect::<Vec<_>>(),
        named(joined_as),
        "{test}: joined"
    );
    assert_eq!(
        joined.values().sum::<usize>(),
        2 * EACH,
        "{test}: joined {joined:?}"
    );
}

/// How often each protocol was found.
type Verdicts = BTreeMap<String, usize>;

/// Those of the joined, and of those seen from their start.
fn verdicts(seen: &Seen, ports: &[u16]) -> [Verdicts; 2] {
    let mut verdicts = [BTreeMap::new(), BTreeMap::new()];
    for connection in seen.connections.values() {
        let Some(socket) = connection.sockets.last() else {
            continue;
        };
        if !ports.contains(&socket.local_port) && !ports.contains(&socket.remote_port) {
            continue;
        }
        // Behind an upgrade, what begins like SETTINGS is told before more of it is seen.
        let upgraded = connection.protocol() == Protocol::Http1;
        let mut frames = connection.halves.iter().flat_map(|half| &half.frames);
        assert!(
            frames.all(|frame| upgraded && frame.kind == SETTINGS),
            "frames of {connection:?}"
        );
        assert!(!connection.closes.is_empty(), "never ended: {connection:?}");
        let all = &mut verdicts[usize::from(socket.joined == 0)];
        *all.entry(format!("{:?}", connection.protocol())).or_default() += 1;
    }
    verdicts
}

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("observer-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn random_binary() {
    let open = |seed| own("binary", binary(seed), binary(seed + 7)).unwrap();
    check("random_binary", open, Protocol::Other, Protocol::Other);
}

#[test]
fn http1_requests() {
    check(
        "http1_requests",
        |_| http1().unwrap(),
        Protocol::Http1,
        Protocol::Http1,
    );
}

/// The server speaks first behind the 101: a text frame, and such as begin like SETTINGS.
#[test]
fn web_socket_messages() {
    let open = |seed: u64| {
        let message = if seed.is_multiple_of(2) {
            vec![0x81, 5, b'h', b'e', b'l', b'l', b'o', b'!', b'!', b'!']
        } else {
            vec![
                0, 0, 6, 4, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 0x81, 1, 2, 3, 4, 5, 6, 7, 8, 9,
            ]
        };
        web_socket(move || message.clone()).unwrap()
    };
    check("web_socket_messages", open, Protocol::Http1, Protocol::Other);
}

#[test]
fn redis_commands() {
    let test = "redis_commands";
    if or_skip(test, apt::install_for(&[("redis-server", "redis-server")])).is_none() {
        return;
    }
    let port = free_port().unwrap();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
    let Some(server) = or_skip(test, Server::start(command, port)) else {
        return;
    };
    check(
        test,
        |_| redis(server.port).unwrap(),
        Protocol::Other,
        Protocol::Other,
    );
}

#[test]
fn tls_records() {
    let test = "tls_records";
    if or_skip(test, apt::install_for(&[("openssl", "openssl")])).is_none() {
        return;
    }
    let folder = Folder::new("tls");
    let file = |name: &str| folder.0.join(name).display().to_string();
    let (key, certificate) = (file("key"), file("certificate"));
    let request = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=x",
    ];
    let made = get(Command::new("openssl")
        .args(request)
        .args(["-keyout", &key, "-out", &certificate]));
    if or_skip(test, made).is_none() {
        return;
    }
    // It serves one connection at a time, so each gets its own.
    let servers = std::cell::RefCell::new(Vec::new());
    let open = |_| {
        let port = free_port().unwrap();
        let mut command = Command::new("openssl");
        command.args([
            "s_server",
            "-rev",
            "-quiet",
            "-accept",
            &port.to_string(),
            "-key",
            &key,
            "-cert",
            &certificate,
        ]);
        servers.borrow_mut().push(Server::start(command, port).unwrap());
        tls(port).unwrap()
    };
    check(test, open, Protocol::Tls, Protocol::Tls);
}

#[test]
fn postgres_queries() {
    let test = "postgres_queries";
    let Some(programs) = or_skip(test, postgres_programs()) else {
        return;
    };
    let folder = Folder::new("postgres");
    // It refuses to run as root.
    chown(&folder.0, Some(65534), Some(65534)).unwrap();
    let as_nobody = |program: &str| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(programs.join(program));
        command.current_dir("/");
        command
    };
    let (data, port) = (folder.0.join("data"), free_port().unwrap());
    let made = get(as_nobody("initdb")
        .args(["-U", "marty", "-A", "trust", "--no-sync", "-D"])
        .arg(&data));
    if or_skip(test, made).is_none() {
        return;
    }
    let mut command = as_nobody("postgres");
    command
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
        .arg(&data);
    let Some(server) = or_skip(test, Server::start(command, port)) else {
        return;
    };
    check(
        test,
        |_| postgres(server.port, "marty").unwrap(),
        Protocol::Other,
        Protocol::Other,
    );
}

/// Debian keeps the server's programs out of the path.
fn postgres_programs() -> Result<PathBuf, Error> {
    apt::install_for(&[("psql", "postgresql")])?;
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").map_err(|error| Error::Missing(error.to_string()))?;
    let mut folders = versions.flatten().map(|entry| entry.path().join("bin"));
    folders
        .find(|path| path.join("initdb").exists())
        .ok_or_else(|| Error::Missing("no PostgreSQL server".into()))
}
