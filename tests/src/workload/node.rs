//! grpc-js: its packages by npm, beside a copy of the program, since Node looks for them there.

use std::ffi::OsString;
use std::process::Command;

use super::cache;
use crate::prerequisite::{Error, apt, get};

const LOCK: [&str; 2] = ["package.json", "package-lock.json"];
const PROGRAM: [&str; 6] = [
    "peer.js",
    "wire.js",
    "tally.js",
    "security.js",
    "server.js",
    "client.js",
];

pub fn prepare() -> Result<Vec<OsString>, Error> {
    // Also where the packages are there from another machine's run.
    apt::install_for(&[("node", "nodejs"), ("npm", "npm")])?;
    let sources = cache::sources().join("node");
    let key = cache::contents(&sources, LOCK.iter().chain(&PROGRAM))?;
    let folder = cache::folder("node", &key, |folder| {
        for file in LOCK.iter().chain(&PROGRAM) {
            std::fs::copy(sources.join(file), folder.join(file))?;
        }
        // Scripts of packages have no business here: the only one generates documentation.
        let install = [
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ];
        get(Command::new("npm").current_dir(folder).args(install)).map(drop)
    })?;
    Ok(vec!["node".into(), folder.join("peer.js").into()])
}
