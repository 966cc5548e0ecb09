//! tonic: a binary of this package.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Language, Program, cache};
use crate::prerequisite::{Error, build};

const NAME: &str = "tonic-peer";

/// The same program with metrics inside of its server (`workloads/rust/metrics.rs`).
pub fn with_metrics() -> Result<Program, Error> {
    let mut command: Vec<OsString> = vec!["env".into(), "TONIC_PEER_METRICS=1".into()];
    command.extend(prepare()?);
    Ok(Program {
        language: Language::Rust,
        command,
        tls: None,
    })
}

pub fn prepare() -> Result<Vec<OsString>, Error> {
    // Cargo has built it already for this package's own integration tests.
    if let Some(built) =
        std::env::var_os(format!("CARGO_BIN_EXE_{NAME}")).filter(|path| Path::new(path).exists())
    {
        return Ok(vec![built]);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--package",
        "tests",
        "--bin",
        NAME,
        "--message-format",
        "json",
    ]);
    command
        .arg("--target-dir")
        .arg(cache::target_directory())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let told = build(&mut command)?;
    let built = told
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let found = built
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back();
    let built = found.ok_or_else(|| Error::Broken(format!("cargo does not say where {NAME} is")))?;
    Ok(vec![built.into()])
}
