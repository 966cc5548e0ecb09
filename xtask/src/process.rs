//! Starting other programs. Every failure is a sentence with the command in it; nothing here retries.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A command without standard input: no tool may stop to ask. And without what cargo told xtask about itself: build
/// scripts that look at it (ring's does) would run again, and all that depends on them, with every change between
/// `cargo xtask` and plain cargo.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    let own = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    });
    for (name, _) in own {
        command.env_remove(name);
    }
    command
}

/// Runs with the output going where xtask's goes.
pub fn run(command: &mut Command) -> Result<()> {
    if succeeds(command)? {
        Ok(())
    } else {
        bail!("`{}` failed; its output above says why", shown(command))
    }
}

/// The same where a failure is one of several to be told.
pub fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command
        .status()
        .with_context(|| format!("`{}` could not be started", shown(command)))?;
    Ok(status.success())
}

/// What the command prints.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("`{}` could not be started", shown(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed: {}",
            shown(command),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Where `program` is, as the shell would find it.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_a_command() {
        assert_eq!(output(command("echo").arg("here")).unwrap(), "here\n");
    }

    #[test]
    fn failures_name_the_command() {
        let failed = run(command("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(
            failed.to_string(),
            "`sh -c exit 3` failed; its output above says why"
        );
        let absent = run(&mut command("no-such-program-here")).unwrap_err();
        assert_eq!(absent.to_string(), "`no-such-program-here` could not be started");
    }

    #[test]
    fn failures_carry_what_was_said() {
        let failed = output(command("sh").args(["-c", "echo why >&2; exit 1"])).unwrap_err();
        assert!(failed.to_string().ends_with("failed: why"), "{failed}");
    }

    #[test]
    fn programs_in_the_path() {
        assert!(which("sh").is_some());
        assert!(which("no-such-program-here").is_none());
    }
}
