//! Conversations that are not HTTP/2: real servers where there are any, spoken to step by step, so that a test can
//! attach in the middle.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::random::Random;
use crate::prerequisite::Error;
use crate::process::{Place, Process, offspring};

/// Waits for servers, and for each of their answers, at most this long.
const LIMIT: Duration = Duration::from_secs(30);

/// One connection, and a server that may have to be ended with it.
pub struct Talk {
    pub name: &'static str,
    /// Of the server.
    pub port: u16,
    step: Box<dyn FnMut() -> Result<()>>,
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Talk")
            .field("name", &self.name)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Talk {
    /// Questions and answers, `count` of each.
    pub fn step(&mut self, count: usize) -> Result<()> {
        (0..count).try_for_each(|_| (self.step)()).context(self.name)
    }
}

/// A child that ends with its owner.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts `command`, which is to listen on `port`.
    pub fn start(mut command: Command, port: u16) -> Result<Self, Error> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let name = format!("{command:?}");
        let child = offspring::spawn(command).map_err(|error| Error::Missing(format!("{name}: {error}")))?;
        let server = Self { child, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begin.elapsed() > LIMIT {
                return Err(Error::Broken(format!("{name} does not listen on {port}")));
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(server)
    }
}

/// Waits until the kernel has no connection of these ports any more: servers close theirs when they see the end.
pub fn wait_for_ends(ports: &[u16]) -> Result<()> {
    const TIME_WAIT: &str = "06";
    const LISTEN: &str = "0A";
    let port = |word: Option<&str>| u16::from_str_radix(word?.rsplit_once(':')?.1, 16).ok();
    let begin = Instant::now();
    loop {
        let table = std::fs::read_to_string("/proc/net/tcp")?;
        let open = table.lines().skip(1).any(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let named = [port(words.next()), port(words.next())];
            let over = matches!(words.next(), Some(TIME_WAIT | LISTEN));
            !over && named.into_iter().flatten().any(|port| ports.contains(&port))
        });
        if !open {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < LIMIT,
            "connections of {ports:?} do not end:\n{table}"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A port that is free, and that the kernel gives to no client meanwhile: below its usual range for those.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id() as u16 % 10_000;
    for _ in 0..1000 {
        let port = 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

/// Both ends are ours: `there` and `back` make the bytes of each step.
pub fn own(
    name: &'static str,
    mut there: impl FnMut() -> Vec<u8> + 'static,
    mut back: impl FnMut() -> Vec<u8> + 'static,
) -> Result<Talk> {
    own_turns(name, move |client, server| {
        pass(client, server, &there())?;
        pass(server, client, &back())
    })
}

/// Both ends are ours: `turn` is one step of them.
fn own_turns(
    name: &'static str,
    mut turn: impl FnMut(&TcpStream, &TcpStream) -> Result<()> + 'static,
) -> Result<Talk> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let client = TcpStream::connect(("127.0.0.1", port))?;
    let (server, _) = listener.accept()?;
    for end in [&client, &server] {
        end.set_nodelay(true)?;
        end.set_read_timeout(Some(LIMIT))?;
    }
    Ok(Talk {
        name,
        port,
        step: Box::new(move || turn(&client, &server)),
    })
}

/// One end sends, the other receives.
fn pass(mut from: &TcpStream, mut to: &TcpStream, bytes: &[u8]) -> Result<()> {
    from.write_all(bytes)?;
    Ok(to.read_exact(&mut vec![0; bytes.len()])?)
}

/// Bytes that look like frames to a careless eye.
pub fn binary(seed: u64) -> impl FnMut() -> Vec<u8> {
    let mut random = Random::new(seed);
    move || {
        let length = 1 + random.below(3000);
        match random.below(5) {
            0 => vec![0; length],
            // A length in four bytes, then a request code and a small number: as Kafka, Thrift, Cassandra and many
            // in-house protocols.
            1 => {
                let mut bytes = (length as u32).to_be_bytes().to_vec();
                bytes.extend([0, random.below(12) as u8, 0, 0, 0, random.below(5) as u8]);
                bytes.extend(random.bytes(length));
                bytes
            }
            // A length in three bytes and a number, as MySQL.
            2 => {
                let [.., a, b, c] = (length as u32).to_be_bytes();
                [vec![a, b, c, random.below(10) as u8], random.bytes(length)].concat()
            }
            _ => random.bytes(length),
        }
    }
}

/// A request of HTTP/1.1 and an answer with a body.
pub fn http1() -> Result<Talk> {
    let request = || b"POST /a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".to_vec();
    own("HTTP/1.1", request, || {
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()
    })
}

/// HTTP/1.1 that is left for `WebSocket`, and there the server speaks first: messages that begin as `message` does, with
/// answers of the client.
pub fn web_socket(mut message: impl FnMut() -> Vec<u8> + 'static) -> Result<Talk> {
    let mut upgraded = false;
    own_turns("WebSocket", move |client, server| {
        if !upgraded {
            let asked: &[u8] =
                b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
            pass(client, server, asked)?;
            let agreed: &[u8] =
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
            pass(server, client, agreed)?;
            upgraded = true;
        }
        pass(server, client, &message())?;
        pass(client, server, &[0x82, 0x81, 1, 2, 3, 4, 5])
    })
}

/// To a Redis server.
pub fn redis(port: u16) -> Result<Talk> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut number = 0_u64;
    let step = move || {
        number += 1;
        let value = "v".repeat((number % 300) as usize);
        // In one write: several small ones wait for each other's acknowledgement.
        let command = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\n", value.len());
        stream.write_all(command.as_bytes())?;
        let mut line = String::new();
        answers.read_line(&mut line)?;
        ensure!(line == "+OK\r\n", "{line}");
        Ok(())
    };
    Ok(Talk {
        name: "Redis",
        port,
        step: Box::new(step),
    })
}

/// To a `PostgreSQL` server, as a user that needs no password.
pub fn postgres(port: u16, user: &str) -> Result<Talk> {
    let begin = Instant::now();
    // It listens before it is ready.
    let mut stream = loop {
        match postgres_login(port, user) {
            Err(error) if begin.elapsed() > LIMIT => return Err(error),
            Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
            Ok(stream) => break stream,
        }
    };
    let step = move || {
        let query = b"select repeat('x', 200), generate_series(1, 5)\0";
        let mut message = vec![b'Q'];
        message.extend((query.len() as u32 + 4).to_be_bytes());
        message.extend(query);
        stream.write_all(&message)?;
        until_ready(&mut stream)
    };
    Ok(Talk {
        name: "PostgreSQL",
        port,
        step: Box::new(step),
    })
}

fn postgres_login(port: u16, user: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    let parameters = format!("user\0{user}\0database\0postgres\0\0");
    let mut hello = (parameters.len() as u32 + 8).to_be_bytes().to_vec();
    hello.extend(0x0003_0000_u32.to_be_bytes());
    hello.extend(parameters.as_bytes());
    stream.write_all(&hello)?;
    until_ready(&mut stream)?;
    Ok(stream)
}

/// Reads messages up to `ReadyForQuery`.
fn until_ready(stream: &mut TcpStream) -> Result<()> {
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let mut body = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
        stream.read_exact(&mut body)?;
        ensure!(kind != b'E', "{}", String::from_utf8_lossy(&body));
        if kind == b'Z' {
            return Ok(());
        }
    }
}

/// To `openssl s_server -rev`, which turns every line round.
pub fn tls(port: u16) -> Result<Talk> {
    let address = format!("127.0.0.1:{port}");
    let command = ["openssl", "s_client", "-quiet", "-connect", &address].map(OsString::from);
    let mut client = Process::start(&command, &Place::default())?;
    let step = move || {
        client.write_line("abcdefgh")?;
        let line = client.read_line(LIMIT)?;
        ensure!(line == "hgfedcba", "{line:?}");
        Ok(())
    };
    Ok(Talk {
        name: "TLS",
        port,
        step: Box::new(step),
    })
}
