//! grpc-go: its sources from Debian, the compiler from `PyPI`; the Go module proxy is not needed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use super::{cache, python};
use crate::prerequisite::{Error, apt, build};

/// What `google.golang.org/grpc` itself imports, from the suite that has a current version of it.
pub(super) const SUITE: &str = "sid";
const PACKAGES: [&str; 7] = [
    "golang-google-grpc-dev",
    "golang-google-genproto-dev",
    "golang-google-protobuf-dev",
    "golang-github-golang-protobuf-1-5-dev",
    "golang-golang-x-net-dev",
    "golang-golang-x-sys-dev",
    "golang-golang-x-text-dev",
];
const PROGRAM: [&str; 7] = [
    "main.go",
    "security.go",
    "wire.go",
    "tally.go",
    "plan.go",
    "server.go",
    "client.go",
];

pub fn prepare() -> Result<Vec<OsString>, Error> {
    let sources = cache::sources().join("go");
    let compiler = python::environment("go", &sources.join("requirements.txt"))?.join("bin/go");
    let packages = packages()?;
    let key = cache::contents(&sources, &PROGRAM)?;
    let built = cache::folder("go", &key, |folder| {
        let mut command = Command::new(&compiler);
        environment(&mut command, &[packages.join("usr/share/gocode")])?;
        command
            .current_dir(&sources)
            .arg("build")
            .arg("-o")
            .arg(folder.join("peer"));
        build(&mut command).map(drop)
    })?;
    Ok(vec![built.join("peer").into()])
}

/// The sources of grpc-go.
pub(super) fn packages() -> Result<PathBuf, Error> {
    let key = format!("{SUITE} {}", PACKAGES.join(" "));
    cache::folder("go-packages", &key, |folder| {
        apt::unpack(SUITE, &PACKAGES, folder)
    })
}

/// No modules, nothing of the user's own settings, nothing downloaded.
pub(super) fn environment(command: &mut Command, sources: &[PathBuf]) -> Result<(), Error> {
    let path = std::env::join_paths(sources).map_err(|error| Error::Broken(error.to_string()))?;
    command.env("GO111MODULE", "off").env("GOPATH", path);
    command
        .env("GOENV", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "")
        .env("CGO_ENABLED", "0");
    command.env("GOCACHE", cache::target_directory().join("workloads/go-cache"));
    Ok(())
}
