//! Whether xtask is root, and what to do where it is not.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// Whether the effective user is root.
pub fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .as_deref()
        .and_then(effective_user)
        == Some(0)
}

fn effective_user(status: &str) -> Option<u32> {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().nth(1)?.parse().ok()
}

/// `program`, started as root: itself, or behind sudo. `why` completes "root is needed".
pub fn as_root(program: &std::path::Path, why: &str) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    let Some(sudo) = process::which("sudo") else {
        bail!("root is needed {why}, and there is no sudo here: start the same command as root");
    };
    println!("not root: asking sudo, {why}");
    let mut command = Command::new(sudo);
    command.arg(
        program
            .to_str()
            .context("the target directory's name is not UTF-8")?,
    );
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_decides() {
        assert_eq!(
            effective_user("Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t1\n"),
            Some(0)
        );
        assert_eq!(effective_user("Uid:\t0\t1000\t0\t0\n"), Some(1000));
        assert_eq!(effective_user("Name:\tx\n"), None);
    }
}
