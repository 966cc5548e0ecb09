//! grpcio's: from Debian's source package of gRPC, on the grpcio of `PyPI`. They are Python, so nothing is built but the code
//! of their messages.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::super::{cache, go, python};
use super::Official;
use crate::prerequisite::{Error, apt, get};

const PACKAGE: &str = "grpc";
/// In the source package.
const PROGRAMS: &str = "src/python/grpcio_tests";
const MESSAGES: [&str; 3] = ["empty", "messages", "test"];
/// Their packages import a runner of all unit tests, and with it what that needs.
const RUNNERS: [&str; 2] = ["tests/__init__.py", "tests_aio/__init__.py"];

/// `package` is the Python package that has them.
pub fn prepare(package: &str) -> Result<Official, Error> {
    let requirements = cache::sources().join("python/requirements-interop.txt");
    let python = python::environment("python-interop", &requirements)?.join("bin/python");
    let key = format!(
        "{} {PACKAGE} {}",
        go::SUITE,
        std::fs::read_to_string(&requirements)?
    );
    let programs = cache::folder("interop-python", &key, |folder| {
        apt::source(go::SUITE, PACKAGE, folder)?;
        generate(&python, folder)
    })?;
    let program = |part: &str| -> Vec<OsString> {
        let mut path = OsString::from("PYTHONPATH=");
        path.push(programs.join(PROGRAMS));
        vec![
            "env".into(),
            path,
            python.clone().into(),
            "-m".into(),
            format!("{package}.interop.{part}").into(),
        ]
    };
    Ok(Official {
        server: program("server"),
        client: program("client"),
    })
}

fn generate(python: &Path, folder: &Path) -> Result<(), Error> {
    let programs = folder.join(PROGRAMS);
    for runner in RUNNERS {
        std::fs::write(programs.join(runner), "")?;
    }
    let mut command = Command::new(python);
    command
        .args(["-m", "grpc_tools.protoc"])
        .arg(option("-I", folder))
        .arg(option("--python_out=", &programs))
        .arg(option("--grpc_python_out=", &programs));
    command.args(MESSAGES.map(|name| folder.join(format!("src/proto/grpc/testing/{name}.proto"))));
    get(&mut command).map(drop)
}

fn option(name: &str, value: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}
