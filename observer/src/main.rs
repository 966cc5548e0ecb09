//! The command line: each subcommand is one call.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use observer::config::args::{self, Act, Page};
use observer::config::{Config, Said, resolve};
use observer::{config, daemon, metrics, preflight, tls, top};

fn main() -> ExitCode {
    let act = args::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match perform(act) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("observer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(act: Act) -> anyhow::Result<ExitCode> {
    match act {
        Act::Run { flags } => daemon::run(&settled(flags)?.0),
        Act::Check {
            targets: true, json, ..
        } => print(&tls::Report::of_now().text(json)),
        Act::Check { flags, json, .. } => Ok(preflight::check(&settled(flags)?.0, json)),
        Act::Replay { flags, file, format } => observer::replay::run(&settled(flags)?.0, &file, format),
        Act::Top { flags, url } => top::run(&settled(flags)?.0, url.as_deref()),
        Act::Config { flags } => print(&settled(flags)?.1.to_string()),
        Act::Completions { shell } => {
            args::completions(shell);
            Ok(ExitCode::SUCCESS)
        }
        Act::Docs { page } => print(&match page {
            Page::Metrics => metrics::document::document(),
            Page::Configuration => config::document::document(),
        }),
    }
}

/// To standard output; a reader that had enough (`| head`) is no failure.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn settled(flags: config::resolve::Flags) -> anyhow::Result<(Config, config::effective::Effective)> {
    Ok(resolve(&Said {
        flags,
        environment: std::env::vars_os().collect(),
    })?)
}
