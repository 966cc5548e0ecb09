//! grpcio and grpclib: virtual environments with the pinned packages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Language, Program, cache};
use crate::prerequisite::{Error, apt, get};

pub fn prepare(language: Language) -> Result<Vec<OsString>, Error> {
    let sources = cache::sources().join("python");
    let (model, name, requirements) = match language {
        Language::Grpclib => ("grpclib", "grpclib", "requirements-grpclib.txt"),
        Language::PythonAsyncio => ("asyncio", "python", "requirements.txt"),
        _ => ("sync", "python", "requirements.txt"),
    };
    let environment = environment(name, &sources.join(requirements))?;
    Ok(vec![
        environment.join("bin/python").into(),
        sources.join("peer.py").into(),
        "--model".into(),
        model.into(),
    ])
}

/// grpcio's server with an interceptor that keeps Prometheus metrics, as it is written by hand.
pub fn with_metrics() -> Result<Program, Error> {
    let sources = cache::sources().join("python");
    let environment = environment("python-metrics", &sources.join("requirements-metrics.txt"))?;
    Ok(Program {
        language: Language::Python,
        command: vec![
            environment.join("bin/python").into(),
            sources.join("peer_with_metrics.py").into(),
            "--model".into(),
            "sync".into(),
        ],
        tls: None,
    })
}

/// A virtual environment with the packages of a requirements file.
pub fn environment(name: &str, requirements: &Path) -> Result<PathBuf, Error> {
    let wanted = std::fs::read_to_string(requirements)?;
    cache::folder(&format!("{name}-environment"), &wanted, |folder| {
        let make = || get(Command::new("python3").args(["-m", "venv"]).arg(folder));
        make().or_else(|_| apt::install(&["python3-venv"]).and_then(|()| make()))?;
        let pip = [
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--requirement",
        ];
        get(Command::new(folder.join("bin/python"))
            .args(pip)
            .arg(requirements))
        .map(drop)
    })
}
