//! A program that is run to its end, for whose output nobody waits longer than a limit.

use std::io::{Error, ErrorKind, Read, Result};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::offspring;

#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub output: Vec<u8>,
    pub errors: Vec<u8>,
}

/// Runs `command` in a process group of its own, which is killed at the limit. What it started and left behind counts as
/// its own as long as it holds the outputs.
pub fn output(mut command: Command, limit: Duration) -> Result<Ended> {
    use std::os::unix::process::CommandExt as _;
    let until = Instant::now() + limit;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = offspring::spawn(command)?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pipes = child.stdout.take().map(all).zip(child.stderr.take().map(all));
    let (output, errors) = pipes.ok_or(ErrorKind::BrokenPipe)?;
    let left = || until.saturating_duration_since(Instant::now());
    let read = output
        .recv_timeout(left())
        .and_then(|output| Ok((output, errors.recv_timeout(left())?)));
    if read.is_err()
        && let Some(group) = group
    {
        // The child was not waited for yet, so its number still means its group.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait()?;
    match read {
        Ok((output, errors)) => Ok(Ended {
            status,
            output,
            errors,
        }),
        Err(_) => Err(Error::new(
            ErrorKind::TimedOut,
            format!("not ended within {limit:?}"),
        )),
    }
}

/// Everything up to the end, as one message.
fn all(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // Half of it is of use too; who waits no longer has given up.
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_outputs() {
        let ended = output(shell("echo one; echo two >&2; exit 3"), Duration::from_secs(20)).unwrap();
        assert_eq!(
            (ended.status.code(), &*ended.output, &*ended.errors),
            (Some(3), b"one\n".as_slice(), b"two\n".as_slice())
        );
    }

    #[test]
    fn one_that_hangs_is_ended_with_its_children() {
        let file = std::env::temp_dir().join(format!("observer-limited-{}", std::process::id()));
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let error = output(shell(&script), Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let child = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        crate::wait::until(Duration::from_secs(20), || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
            let is_gone = stat.is_empty() || stat.contains(") Z ");
            is_gone.then_some(()).ok_or(stat)
        })
        .unwrap();
    }
}
