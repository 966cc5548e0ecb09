//! Debian packages: installed where that is possible without asking, else named in a sentence.

use anyhow::{Result, bail};

use crate::{privilege, process};

/// Installs `packages`, or says with which command a person does it. `what` says what they are for.
pub fn install(packages: &[&str], what: &str) -> Result<()> {
    if process::which("apt-get").is_none() {
        bail!(
            "{what} needs the Debian packages {}, and this is not Debian",
            packages.join(" ")
        );
    }
    if !privilege::is_root() {
        bail!(
            "{what} needs packages: sudo apt-get update && sudo apt-get install {}",
            packages.join(" ")
        );
    }
    println!("installing {} ({what})", packages.join(" "));
    let mut update = apt_get();
    process::run(update.args(["-qq", "update"]))?;
    let mut install = apt_get();
    process::run(
        install
            .args(["-qq", "-y", "--no-install-recommends", "install"])
            .args(packages),
    )
}

fn apt_get() -> std::process::Command {
    let mut command = process::command("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // Another apt may be at work, and ends.
    command.args(["-o", "DPkg::Lock::Timeout=600"]);
    command
}
