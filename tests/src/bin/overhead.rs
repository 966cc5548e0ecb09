//! `cargo xtask bench --overhead` runs this as root, with `OBSERVER_DAEMON` and `OBSERVER_KERNEL_OBJECT` set.

use std::process::ExitCode;

use anyhow::Result;
use tests::overhead::options::{Options, USAGE};
use tests::overhead::{foreign, run};

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
        [foreign::SOURCE, address] => foreign::source(address)?,
        _ => return run::run(Options::parse(&arguments)?),
    }
    Ok(ExitCode::SUCCESS)
}
