//! `cargo xtask truth` runs this as root, with `OBSERVER_DAEMON` naming the daemon.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, getppid};
use tests::process::offspring;
use tests::truth::options::{Options, USAGE};
use tests::truth::{run, situation};
use tests::workload::{self, Language};

/// Process id of the xtask that started this: when it is killed, this must not go on.
const PARENT: &str = "OBSERVER_XTASK";

fn main() -> ExitCode {
    if let Err(error) = die_with_xtask() {
        eprintln!("truth: {error}");
        return ExitCode::FAILURE;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    // Any number does; small ones are easier to type again.
    let entropy = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs() % 100_000);
    let ended = Options::parse(&arguments, entropy).and_then(|options| {
        if options.list {
            list();
            return Ok(ExitCode::SUCCESS);
        }
        if options.programs {
            workload::tell_programs(&options.servers);
            return Ok(ExitCode::SUCCESS);
        }
        run::run(options)
    });
    ended.unwrap_or_else(|error| {
        eprintln!("truth: {error:#}");
        ExitCode::FAILURE
    })
}

fn list() {
    for situation in situation::ALL {
        let quick = if situation.is_quick { "quick" } else { "" };
        println!("{:<20} {:<6} {}", situation.name, quick, situation.about);
    }
    println!(
        "implementations: {}",
        Language::ALL.map(|language| language.to_string()).join(", ")
    );
}

/// Not where it is not the parent: behind sudo, which hands over the signals that it gets, or started by hand.
fn die_with_xtask() -> std::io::Result<()> {
    let named = std::env::var(PARENT).ok().and_then(|id| id.parse().ok());
    match named.and_then(Pid::from_raw) {
        Some(parent) if getppid() == Some(parent) => offspring::die_with(parent),
        _ => Ok(()),
    }
}
