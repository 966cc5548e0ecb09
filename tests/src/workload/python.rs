//! grpcio: a virtual environment with the pinned packages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Language, cache};
use crate::prerequisite::{Error, apt, get};

pub fn prepare(language: Language) -> Result<Vec<OsString>, Error> {
    let sources = cache::sources().join("python");
    let requirements = sources.join("requirements.txt");
    let environment = environment("python", &requirements)?;
    let mut command = vec![
        environment.join("bin/python").into(),
        sources.join("peer.py").into(),
    ];
    if language == Language::PythonAsyncio {
        command.push("--asyncio".into());
    }
    Ok(command)
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
