//! `observer top` in a terminal of two sizes: what it shows, what keys do, and that the terminal is as it was after.
//! Needs no kernel programs: the metrics come from a small server in here.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tests::prerequisite::{Error, or_skip};
use tests::wait;

/// For a loaded machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Answers every request with metrics, in which each answer has counted ten calls and one loss more.
fn serve() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for (answers, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { continue };
            // One request in one piece: the client under test writes it so.
            if stream.read(&mut [0; 4096]).is_err() {
                continue;
            }
            let body = metrics(u64::try_from(answers).unwrap_or(0) * 10);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    Ok(address)
}

fn metrics(calls: u64) -> String {
    let started = "marty_observer_start_time_seconds 1700000000\n";
    let mut text = format!("{started}marty_observer_lost_total{{reason=\"ring_full\"}} {calls}\n");
    for method in 0..40 {
        let labels =
            format!("service=\"csca\",method=\"/csca.CscaService/Get{method:02}\",namespace=\"prod\"");
        let _ = writeln!(
            text,
            "marty_grpc_requests_total{{{labels},status=\"OK\"}} {calls}"
        );
        let _ = writeln!(
            text,
            "marty_grpc_request_duration_seconds_bucket{{{labels},le=\"0.01\"}} {calls}"
        );
        let _ = writeln!(
            text,
            "marty_grpc_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {calls}"
        );
        let _ = writeln!(text, "marty_grpc_requests_in_flight{{{labels}}} 7");
    }
    text + &format!(
        "marty_grpc_client_requests_total{{service=\"gate\",peer=\"csca\",method=\"/x.Y/Z\",status=\"OK\"}} {calls}\n"
    )
}

fn daemon() -> Result<PathBuf, Error> {
    let path = std::env::var_os("OBSERVER_DAEMON")
        .ok_or_else(|| Error::Missing("OBSERVER_DAEMON is not set: run `cargo xtask test`".to_owned()))?;
    Ok(PathBuf::from(path))
}

/// A program in a terminal of its own.
struct Terminal {
    child: Child,
    master: File,
    /// Kept open, so that the modes can be looked at when the program is gone.
    peer: OwnedFd,
    modes: LocalModes,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    fn start(command: &[&str], (rows, columns): (u16, u16)) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let peer = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&peer, size)?;
        let modes = tcgetattr(&peer)?.local_modes;
        // In a session of its own, whose terminal this is: else the size would be that of whoever runs the tests.
        let child = Command::new("setsid")
            .arg("--ctty")
            .args(command)
            .env("TERM", "xterm-256color")
            .stdin(Stdio::from(peer.try_clone()?))
            .stdout(Stdio::from(peer.try_clone()?))
            .stderr(Stdio::from(peer.try_clone()?))
            .spawn()
            .context("setsid")?;
        let of = |length| NonZeroU16::new(length).context("a terminal without room");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(of(rows)?, of(columns)?, 0)));
        let master = File::from(master);
        let (mut output, parser) = (master.try_clone()?, Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                let Ok(mut parser) = parser.lock() else { return };
                parser.process(bytes.get(..length).unwrap_or_default());
            }
        });
        Ok(Self {
            child,
            master,
            peer,
            modes,
            screen,
        })
    }

    fn text(&self) -> String {
        self.screen
            .lock()
            .map(|parser| parser.screen().contents())
            .unwrap_or_default()
    }

    /// Waits until all of these are on the screen at once.
    fn expect(&self, texts: &[&str]) -> Result<String> {
        wait::until(LIMIT, || {
            let screen = self.text();
            match texts.iter().find(|text| !screen.contains(**text)) {
                None => Ok(screen),
                Some(missing) => Err(format!("no {missing:?} on the screen:\n{screen}")),
            }
        })
    }

    fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.master.write_all(keys.as_bytes())?)
    }

    fn ended(&mut self) -> Result<ExitStatus> {
        let child = &mut self.child;
        wait::until(LIMIT, || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        })
    }

    fn expect_restored(&self) -> Result<()> {
        let modes = tcgetattr(&self.peer)?.local_modes;
        ensure!(
            modes == self.modes,
            "the modes are {modes:?}, and were {:?}",
            self.modes
        );
        wait::until(LIMIT, || {
            let parser = self.screen.lock().map_err(|error| error.to_string())?;
            let screen = parser.screen();
            match (screen.alternate_screen(), screen.hide_cursor()) {
                (false, false) => Ok(()),
                left => Err(format!("(alternate screen, hidden cursor) are {left:?}")),
            }
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn top(test: &str, url: &str, size: (u16, u16)) -> Result<Option<Terminal>> {
    let Some(daemon) = or_skip(test, daemon()) else {
        return Ok(None);
    };
    Terminal::start(&[&daemon.to_string_lossy(), "top", "--url", url], size).map(Some)
}

#[test]
fn top_in_80x24() -> Result<()> {
    let url = format!("http://{}", serve()?);
    let Some(mut terminal) = top("top_in_80x24", &url, (24, 80))? else {
        return Ok(());
    };
    let screen = terminal.expect(&[
        "server side, by rate",
        "lost: ring_full",
        "prod/csca    …CscaService/Get00",
        "5.00ms 9.50ms 9.90ms      7",
        "rows 1-18 of 40",
        "(+10)",
        "q quit",
    ])?;
    println!("{screen}");
    ensure!(
        !tcgetattr(&terminal.peer)?
            .local_modes
            .contains(LocalModes::ICANON),
        "keys come by line"
    );
    terminal.press("\u{1b}[B")?;
    terminal.expect(&["rows 2-19 of 40"])?;
    terminal.press("s")?;
    terminal.expect(&["by errors"])?;
    terminal.press("c")?;
    terminal.expect(&["client side", "gate > csca", "/x.Y/Z", "rows 1-1 of 1"])?;
    terminal.press("cm")?;
    terminal.expect(&["server side", "rows 1-1 of 1", "280"])?;
    terminal.press("?")?;
    terminal.expect(&["scroll by a line"])?;
    terminal.press("?p")?;
    terminal.expect(&["PAUSED"])?;
    terminal.press("q")?;
    let status = terminal.ended()?;
    ensure!(status.code() == Some(0), "ended with {status}");
    terminal.expect_restored()
}

#[test]
fn top_in_200x50() -> Result<()> {
    let url = format!("http://{}", serve()?);
    let Some(mut terminal) = top("top_in_200x50", &url, (50, 200))? else {
        return Ok(());
    };
    terminal.expect(&[
        "/csca.CscaService/Get00",
        "/csca.CscaService/Get39",
        "rows 1-40 of 40",
        "? help",
        "(+10)",
    ])?;
    terminal.press("q")?;
    let status = terminal.ended()?;
    ensure!(status.code() == Some(0), "ended with {status}");
    terminal.expect_restored()
}

#[test]
fn top_that_is_terminated() -> Result<()> {
    let url = format!("http://{}", serve()?);
    let Some(mut terminal) = top("top_that_is_terminated", &url, (24, 80))? else {
        return Ok(());
    };
    terminal.expect(&["rows 1-18 of 40"])?;
    let pid = Pid::from_raw(i32::try_from(terminal.child.id())?).context("a process id")?;
    kill_process(pid, Signal::TERM)?;
    ensure!(terminal.ended()?.code() == Some(0), "not ended by itself");
    terminal.expect_restored()
}

#[test]
fn top_where_nobody_listens() -> Result<()> {
    // Taken and given back: nobody listens there now.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let url = format!("http://{address}");
    let Some(mut terminal) = top("top_where_nobody_listens", &url, (24, 80))? else {
        return Ok(());
    };
    terminal.expect(&["nobody listens there"])?;
    terminal.press("\u{3}")?;
    ensure!(terminal.ended()?.code() == Some(0), "Ctrl-C does not end it");
    terminal.expect_restored()
}

/// Not a test of its own: what `top_that_panics` runs in a terminal.
#[test]
fn panicking_in_a_terminal() {
    if std::env::var_os("OBSERVER_TEST_PANIC").is_some() {
        let begun = Instant::now();
        let _ = observer::top::terminal::with::<()>(|_| panic!("after {:?}", begun.elapsed()));
    }
}

#[test]
fn top_that_panics() -> Result<()> {
    let program = std::env::current_exe()?;
    let program = program.to_string_lossy();
    let child = [
        "env",
        "RUST_BACKTRACE=0",
        "OBSERVER_TEST_PANIC=1",
        &program,
        "--exact",
        "panicking_in_a_terminal",
        "--nocapture",
    ];
    let mut terminal = Terminal::start(&child, (24, 80))?;
    ensure!(
        !terminal.ended()?.success(),
        "it did not panic:\n{}",
        terminal.text()
    );
    terminal.expect_restored()?;
    terminal.expect(&["panicked at"]).map(drop)
}

#[test]
fn top_without_a_terminal() -> Result<()> {
    let Some(daemon) = or_skip("top_without_a_terminal", daemon()) else {
        return Ok(());
    };
    let run = |url: &str| Command::new(&daemon).args(["top", "--url", url]).output();
    let output = run(&format!("http://{}", serve()?))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(0), "{output:?}");
    ensure!(
        text.contains("prod/csca  /csca.CscaService/Get39") && !text.contains('\u{1b}'),
        "{text}"
    );
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    for (url, expected) in [
        (format!("http://{address}"), "nobody listens there"),
        ("https://localhost".to_owned(), "https is not supported"),
    ] {
        let output = run(&url)?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(1) && text.contains(expected),
            "{output:?}"
        );
    }
    Ok(())
}
