//! grpc-go: its sources from Debian, the compiler from `PyPI`; the Go module proxy is not needed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use super::{Language, Program, cache, python};
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
/// What its client library for Prometheus imports beside them.
const METRICS_PACKAGES: [&str; 7] = [
    "golang-github-prometheus-client-golang-dev",
    "golang-github-prometheus-client-model-dev",
    "golang-github-prometheus-common-dev",
    "golang-github-prometheus-procfs-dev",
    "golang-github-beorn7-perks-dev",
    "golang-github-cespare-xxhash-v2-dev",
    "golang-github-munnerz-goautoneg-dev",
];
const PROGRAM: [&str; 9] = [
    "main.go",
    "security.go",
    "wire.go",
    "tally.go",
    "plan.go",
    "server.go",
    "client.go",
    "plain.go",
    "metrics.go",
];

/// Names one that was built elsewhere: where there is no compiler, as in the guests of `cargo xtask kernels`.
const BUILT: &str = "OBSERVER_GO_PEER";
/// Go's own name for the processor to build for, where it is not this one.
const PROCESSOR: &str = "GOARCH";

pub fn prepare() -> Result<Vec<OsString>, Error> {
    if let Some(built) = std::env::var_os(BUILT) {
        return Ok(vec![built]);
    }
    match std::env::var(PROCESSOR) {
        Ok(processor) => build_with(&format!("go-{processor}"), &[], &[packages()?]),
        Err(_) => build_with("go", &[], &[packages()?]),
    }
}

/// The same program with metrics inside of its server, by Prometheus's own library.
pub fn with_metrics() -> Result<Program, Error> {
    let key = format!("{SUITE} {}", METRICS_PACKAGES.join(" "));
    let metrics = cache::folder("go-metrics-packages", &key, |folder| {
        apt::unpack(SUITE, &METRICS_PACKAGES, folder)
    })?;
    Ok(Program {
        language: Language::Go,
        command: build_with("go-metrics", &["-tags", "metrics"], &[packages()?, metrics])?,
        tls: None,
    })
}

fn build_with(name: &str, arguments: &[&str], packages: &[PathBuf]) -> Result<Vec<OsString>, Error> {
    let sources = cache::sources().join("go");
    let compiler = python::environment("go", &sources.join("requirements.txt"))?.join("bin/go");
    let key = cache::contents(&sources, &PROGRAM)?;
    let built = cache::folder(name, &key, |folder| {
        let mut command = Command::new(&compiler);
        let paths: Vec<PathBuf> = packages
            .iter()
            .map(|packages| packages.join("usr/share/gocode"))
            .collect();
        environment(&mut command, &paths)?;
        command
            .current_dir(&sources)
            .arg("build")
            .args(arguments)
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
