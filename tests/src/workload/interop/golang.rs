//! grpc-go's: built from Debian's sources of grpc-go and of what their credentials and balancers import.

use std::process::Command;

use super::super::{cache, go, python};
use super::Official;
use crate::prerequisite::{Error, apt, get};

/// On top of what the workload needs.
const PACKAGES: [&str; 14] = [
    "golang-golang-x-oauth2-dev",
    "golang-golang-x-oauth2-google-dev",
    "golang-golang-x-sync-dev",
    "golang-golang-x-crypto-dev",
    "golang-github-cncf-xds-dev",
    "golang-github-envoyproxy-go-control-plane-dev",
    "golang-github-envoyproxy-protoc-gen-validate-dev",
    "golang-cel-expr-dev",
    "golang-google-cloud-compute-metadata-dev",
    "golang-github-google-uuid-dev",
    "golang-github-cespare-xxhash-v2-dev",
    "golang-github-spiffe-go-spiffe-dev",
    "golang-github-go-jose-go-jose-dev",
    "golang-opentelemetry-proto-dev",
];

pub fn prepare() -> Result<Official, Error> {
    let requirements = cache::sources().join("go/requirements.txt");
    let compiler = python::environment("go", &requirements)?.join("bin/go");
    let workload = go::packages()?;
    let key = format!("{} {}", go::SUITE, PACKAGES.join(" "));
    let more = cache::folder("interop-packages", &key, |folder| {
        apt::unpack(go::SUITE, &PACKAGES, folder)
    })?;
    let built = cache::folder("interop", &key, |folder| {
        for program in ["server", "client"] {
            let path = [&workload, &more].map(|folder| folder.join("usr/share/gocode"));
            let mut command = Command::new(&compiler);
            go::environment(&mut command, &path)?;
            command.arg("build").arg("-o").arg(folder.join(program));
            command.arg(format!("google.golang.org/grpc/interop/{program}"));
            // Not of ours: that it cannot be built here is no fault.
            get(&mut command)?;
        }
        Ok(())
    })?;
    Ok(Official {
        server: vec![built.join("server").into()],
        client: vec![built.join("client").into()],
    })
}
