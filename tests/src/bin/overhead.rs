//! `cargo xtask bench --overhead` runs this as root, with `OBSERVER_DAEMON` and `OBSERVER_KERNEL_OBJECT` set.

use std::process::ExitCode;

use anyhow::Result;
use tests::overhead::options::{Options, USAGE};
use tests::overhead::{counted, exchange, fastest, foreign, latency, run};

fn main() -> ExitCode {
    start().unwrap_or_else(|error| {
        eprintln!("overhead: {error:#}");
        ExitCode::FAILURE
    })
}

fn start() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--help"] => println!("{USAGE}"),
        [foreign::SINK] => foreign::sink()?,
        [foreign::SOURCE, address, chunks] => foreign::source(address, chunks.parse()?)?,
        [exchange::SERVER, at_once] => exchange::server(at_once.parse()?)?,
        [exchange::CLIENT, address, at_once] => exchange::client(address, at_once.parse()?)?,
        [fastest::SERVER, address] => fastest::server(address)?,
        [latency::CLIENT, arguments @ ..] => latency::client(arguments)?,
        [counted::PROGRAMS] => counted::programs(),
        [counted::COUNT, programs @ ..] => counted::count(programs)?,
        _ => return run::run(Options::parse(&arguments)?),
    }
    Ok(ExitCode::SUCCESS)
}
