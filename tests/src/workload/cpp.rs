//! grpc++: the library and a C++ compiler from this system's own Debian suite, and the program compiled with them.

use std::ffi::OsString;
use std::process::Command;

use super::cache;
use crate::prerequisite::{Error, apt, build, get};

const PACKAGES: [&str; 4] = ["g++", "pkg-config", "libgrpc++-dev", "nlohmann-json3-dev"];
const PROGRAM: [&str; 7] = [
    "main.cc",
    "security.cc",
    "wire.cc",
    "tally.cc",
    "step.cc",
    "server.cc",
    "client.cc",
];
const HEADERS: [&str; 5] = ["peer.h", "security.h", "wire.h", "tally.h", "step.h"];

pub fn prepare() -> Result<Vec<OsString>, Error> {
    let sources = cache::sources().join("cpp");
    let key = cache::contents(&sources, PROGRAM.iter().chain(&HEADERS))?;
    let built = cache::folder("cpp", &key, |folder| {
        apt::install(&PACKAGES)?;
        let libraries = get(Command::new("pkg-config").args(["--cflags", "--libs", "grpc++"]))?;
        let mut command = Command::new("g++");
        command.current_dir(&sources);
        command.args(["-std=c++17", "-O1", "-pthread", "-Wall", "-Wextra", "-Werror"]);
        command.args(PROGRAM).arg("-o").arg(folder.join("peer"));
        build(command.args(libraries.split_whitespace())).map(drop)
    })?;
    Ok(vec![built.join("peer").into()])
}
