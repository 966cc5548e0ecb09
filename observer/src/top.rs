//! `observer top`: a live view of services and methods in the terminal, read from an observer's `/metrics`.
//!
//! Boundary: a reader like any other. It shares no memory with the daemon, which may run on another machine.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

pub mod figure;
pub mod model;
pub mod scrape;
pub mod screen;
pub mod table;
pub mod terminal;
pub mod view;

use crate::config::Config;
use model::{Reading, Report};
use scrape::Url;
use screen::Shown;
use view::View;

/// Between two readings. Rates of less than a second jump; a scrape costs the observer some ms.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a key, a reading or a signal waits at most.
const TICK: Duration = Duration::from_millis(100);

type Outcome = Result<Reading, scrape::Error>;

/// Shows `url`, or the daemon that these settings would start on this machine: live in a terminal, once elsewhere.
pub fn run(config: &Config, url: Option<&str>) -> anyhow::Result<ExitCode> {
    let url = match url {
        Some(text) => Url::parse(text).with_context(|| format!("--url {text}"))?,
        None => Url::local(config.listen),
    };
    if stdout().is_terminal() {
        live(&url)?;
    } else {
        once(&url)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn once(url: &Url) -> anyhow::Result<()> {
    let reading = Reading::take(url).with_context(|| url.to_string())?;
    let view = View::default();
    let report = report(None, &reading, &view);
    match stdout().write_all(table::plain(&report, view.grouping).as_bytes()) {
        // A reader that had enough (`| head`) is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn live(url: &Url) -> anyhow::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
        signal_hook::consts::SIGINT,
    ] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    let outcomes = readings(url.clone())?;
    let mut show = Show {
        url: url.to_string(),
        ..Show::default()
    };
    terminal::with(|terminal| {
        let mut drawn = None;
        while !show.view.quit && !ended.load(Ordering::Relaxed) {
            let mut changed = wait(&mut show.view)?;
            for outcome in outcomes.try_iter() {
                changed |= show.take(outcome);
            }
            if changed || drawn.is_none_or(|drawn: Instant| drawn.elapsed() > INTERVAL) {
                show.draw(terminal)?;
                drawn = Some(Instant::now());
            }
        }
        Ok(())
    })
}

/// Waits for a key; says whether there is something to draw.
fn wait(view: &mut View) -> anyhow::Result<bool> {
    let mut changed = false;
    let mut patience = TICK;
    while event::poll(patience).context("cannot read keys")? {
        // What is there already is taken together, so that held keys do not queue up.
        patience = Duration::ZERO;
        match event::read().context("cannot read keys")? {
            Event::Key(key) if key.kind != KeyEventKind::Release => view.press(key),
            _ => {}
        }
        changed = true;
    }
    Ok(changed)
}

/// Reads on a thread of its own: a host that does not answer must not hold up the keys. The thread ends when nobody
/// takes its readings, at the latest with the process.
fn readings(url: Url) -> anyhow::Result<Receiver<Outcome>> {
    let (outcomes, receiver) = sync_channel(1);
    let read = move || {
        while outcomes.send(Reading::take(&url)).is_ok() {
            std::thread::sleep(INTERVAL);
        }
    };
    std::thread::Builder::new()
        .name("readings".to_owned())
        .spawn(read)?;
    Ok(receiver)
}

#[derive(Default)]
struct Show {
    url: String,
    view: View,
    earlier: Option<Reading>,
    now: Option<Reading>,
    failure: Option<String>,
}

impl Show {
    /// Says whether it is to be drawn.
    fn take(&mut self, outcome: Outcome) -> bool {
        if self.view.paused {
            return false;
        }
        match outcome {
            Ok(reading) => {
                self.earlier = self.now.replace(reading);
                self.failure = None;
            }
            Err(error) => self.failure = Some(error.to_string()),
        }
        true
    }

    fn draw(&mut self, terminal: &mut DefaultTerminal) -> anyhow::Result<()> {
        let Self {
            url,
            view,
            earlier,
            now,
            failure,
        } = self;
        let report = now.as_ref().map(|now| report(earlier.as_ref(), now, view));
        // `End` means the last page; the way up begins there.
        view.scrolled = view
            .scrolled
            .min(report.as_ref().map_or(0, |report| report.rows.len()));
        let shown = Shown {
            url,
            report: report.as_ref(),
            failure: failure.as_deref(),
        };
        terminal.draw(|frame| screen::draw(view, shown, frame.area(), frame.buffer_mut()))?;
        Ok(())
    }
}

fn report(earlier: Option<&Reading>, now: &Reading, view: &View) -> Report {
    let mut report = model::report(earlier, now, view.side, view.grouping);
    table::order(&mut report.rows, view.sort);
    report
}
