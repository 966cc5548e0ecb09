//! What the kernel counts for the gauges in a network namespace: sockets that listen, and connections to databases, when
//! they come and when they go; and nothing else.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use observer::attribution::process::Processes;
use tests::capture::watch;
use tests::prerequisite::{Error, or_skip};
use tests::skip::skipped;

const TEST: &str = "changes_in_another_namespace";
/// Set for the program elsewhere, which is this one.
const ELSEWHERE: &str = "OBSERVER_TEST_ELSEWHERE";
/// Without it the program cannot know where sockets have their namespace.
const TYPES: &str = "/sys/kernel/btf/vmlinux";
const DATABASE: u16 = 27017;
const RING_BYTES: u32 = 1 << 16;
/// In front of what the program elsewhere says, among what the test harness does.
const SAID: &str = "elsewhere: ";

#[test]
fn changes_in_another_namespace() -> Result<()> {
    if std::env::var_os(ELSEWHERE).is_some() {
        return elsewhere();
    }
    let Some((mut probe, _ring)) = or_skip(TEST, watch::attach(None, RING_BYTES)) else {
        return Ok(());
    };
    if !Path::new(TYPES).exists() {
        skipped(TEST, "the kernel does not describe its types");
        return Ok(());
    }
    // Whatever else is in the way is a fault.
    let mut changes = probe
        .changes([DATABASE].into_iter())
        .context("the kernel does not count")?;
    let Some(mut program) = or_skip(TEST, Elsewhere::start()) else {
        return Ok(());
    };
    let processes = Processes::new("/proc");
    let space = processes
        .network_namespace(program.child.id())
        .context("where is it?")?;
    ensure!(Some(space) != processes.network_namespace(std::process::id()));

    ensure!(changes.count(space) == Some(0), "not asked about before");
    let mut before = 0;
    for (what, counts) in [
        ("listen", true),
        ("connect", true),
        ("connect to another", false),
        ("close", true),
        ("close the other", false),
        ("cease", true),
    ] {
        program.does(what)?;
        let now = changes.count(space).context("not counted any more")?;
        ensure!((now > before) == counts, "{what}: {before} to {now}");
        before = now;
    }
    changes.forget(space);
    ensure!(changes.count(space) == Some(0), "counted anew");
    Ok(())
}

/// A program in a network namespace of its own, that does as it is told.
#[derive(Debug)]
struct Elsewhere {
    child: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Elsewhere {
    fn start() -> Result<Self, Error> {
        let broken =
            |error: std::io::Error| Error::Broken(format!("a program in another namespace: {error}"));
        let own = std::env::current_exe().map_err(broken)?;
        let mut child = Command::new("unshare")
            .args(["-n", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""])
            .arg(own)
            .args(["--exact", TEST, "--nocapture"])
            .env(ELSEWHERE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Error::Missing(format!("`unshare` cannot be run: {error}")))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (orders, said) = pipes.ok_or_else(|| Error::Broken("it has no pipes".into()))?;
        let mut elsewhere = Self {
            child,
            orders,
            said: BufReader::new(said),
        };
        match elsewhere.hears("ready") {
            Ok(()) => Ok(elsewhere),
            Err(error) => Err(Error::Missing(format!(
                "no namespace of its own with a loopback: {error:#}"
            ))),
        }
    }

    fn does(&mut self, what: &str) -> Result<()> {
        writeln!(self.orders, "{what}")?;
        self.hears(what)
    }

    fn hears(&mut self, what: &str) -> Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(self.said.read_line(&mut line)? > 0, "it ended before: {what}");
            // The harness has no line's end behind the name of the test.
            if let Some((_, said)) = line.trim_end().split_once(SAID) {
                ensure!(said == what, "it said: {said}");
                return Ok(());
            }
        }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program elsewhere, until nobody tells it anything any more.
fn elsewhere() -> Result<()> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let pair = |listener: &TcpListener| -> Result<_> {
        let client = TcpStream::connect(listener.local_addr()?)?;
        Ok((client, listener.accept()?))
    };
    let other = at(0)?;
    let (mut database, mut to_database, mut to_other) = (None, None, None);
    println!("{SAID}ready");
    for line in std::io::stdin().lines() {
        let what = line?;
        match what.as_str() {
            "listen" => database = Some(at(DATABASE)?),
            "connect" => to_database = Some(pair(database.as_ref().context("nobody listens")?)?),
            "connect to another" => to_other = Some(pair(&other)?),
            "close" => drop(to_database.take()),
            "close the other" => drop(to_other.take()),
            "cease" => drop(database.take()),
            unknown => bail!("what is {unknown}?"),
        }
        println!("{SAID}{what}");
    }
    Ok(())
}
