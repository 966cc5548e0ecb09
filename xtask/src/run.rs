//! `cargo xtask run`: builds, then becomes the daemon, so that Ctrl-C and the exit code are the daemon's own.

use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::build::{self, Programs};
use crate::privilege;
use crate::workspace::Workspace;

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let args = match args {
        [] => args,
        [separator, rest @ ..] if separator == "--" => rest,
        [other, ..] => bail!("`{other}` is for the daemon? Then write: cargo xtask run -- {other}"),
    };
    let daemon = build::build(workspace, Programs::Release)?;
    let mut command = privilege::as_root(&daemon, "to load kernel programs")?;
    command.args(args);
    println!("running {} {}", daemon.display(), args.join(" "));
    println!("it watches every gRPC call on this machine; Ctrl-C detaches it and leaves nothing behind");
    Err(command.exec()).with_context(|| format!("{} could not be started", daemon.display()))
}
