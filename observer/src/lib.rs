//! The daemon. Modules in the order in which data flows through them.

pub mod clock;
pub mod config;
pub mod endpoint;
pub mod metrics;

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

use config::Config;
use config::args::ReplayFormat;

pub fn run(_config: Config) -> anyhow::Result<ExitCode> {
    bail!("`observer run` is not built yet")
}

pub fn check(_config: &Config, _json: bool) -> anyhow::Result<ExitCode> {
    bail!("`observer check` is not built yet")
}

pub fn replay(_config: &Config, _file: &Path, _format: ReplayFormat) -> anyhow::Result<ExitCode> {
    bail!("`observer replay` is not built yet")
}

pub fn top(_config: &Config, _url: Option<&str>) -> anyhow::Result<ExitCode> {
    bail!("`observer top` is not built yet")
}
