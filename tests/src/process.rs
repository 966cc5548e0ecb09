//! A child process that cannot outlive its test: spoken to by lines, waited for with a limit, killed with its group.
//! If the test itself is killed, the kernel ends the child (`offspring`).

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal};

pub mod limited;
pub mod offspring;

/// Lines of standard error kept for the report of a failure.
const MAX_ERROR_LINES: usize = 40;

/// Where a process runs; the default is where the test runs.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Name of a network namespace.
    pub namespace: Option<String>,
    /// Folder of a cgroup, v2 or v1, that exists.
    pub cgroup: Option<PathBuf>,
}

impl Place {
    /// The command that runs `command` in this place. The process id stays the same through all of its steps.
    fn wrap(&self, command: &[OsString]) -> Vec<OsString> {
        let mut whole: Vec<OsString> = Vec::new();
        if let Some(cgroup) = &self.cgroup {
            let join = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
            whole.extend(["sh".into(), "-c".into(), join.into(), cgroup.clone().into()]);
        }
        if let Some(namespace) = &self.namespace {
            whole.extend(["ip".into(), "netns".into(), "exec".into(), namespace.into()]);
        }
        whole.extend_from_slice(command);
        whole
    }
}

#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Arc<Mutex<VecDeque<String>>>,
    error_reader: Option<JoinHandle<()>>,
}

impl Process {
    pub fn start(command: &[OsString], place: &Place) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let command = place.wrap(command);
        let (program, arguments) = command.split_first().context("an empty command")?;
        let name = command
            .iter()
            .map(|part| part.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ");
        let mut starting = Command::new(program);
        starting
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = offspring::spawn(starting).with_context(|| format!("cannot start {name}"))?;
        let (sender, lines) = channel();
        let stdout = child.stdout.take().context("no standard output")?;
        std::thread::spawn(move || each_line(stdout, |line| sender.send(line).is_ok()));
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        let (stderr, kept) = (
            child.stderr.take().context("no standard error")?,
            Arc::clone(&errors),
        );
        let error_reader = std::thread::spawn(move || {
            each_line(stderr, |line| {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == MAX_ERROR_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
                true
            });
        });
        let stdin = child.stdin.take();
        Ok(Self {
            name,
            child,
            stdin,
            lines,
            errors,
            error_reader: Some(error_reader),
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn write_line(&mut self, line: &str) -> Result<()> {
        let stdin = self
            .stdin
            .as_mut()
            .with_context(|| format!("standard input of {} is closed", self.name))?;
        let written = stdin
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| stdin.flush());
        written.or_else(|error| bail!("{} no longer reads ({error}){}", self.name, self.report()))
    }

    /// The next line of standard output.
    pub fn read_line(&mut self, limit: Duration) -> Result<String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => {
                bail!("nothing from {} for {limit:?}{}", self.name, self.report())
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.join_errors();
                let status = self.child.wait()?;
                bail!("{} has ended ({status}){}", self.name, self.report())
            }
        }
    }

    /// Reads until a line begins with `start`; gives the rest of that line.
    pub fn wait_for(&mut self, start: &str, limit: Duration) -> Result<String> {
        let until = Instant::now() + limit;
        loop {
            let line = self.read_line(until.saturating_duration_since(Instant::now()))?;
            if let Some(rest) = line.strip_prefix(start) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("no process id")?;
        rustix::process::kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits for the end of standard output, then for the process.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            match self
                .lines
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(self.child.wait()?),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{} does not end in {limit:?}{}", self.name, self.report())
                }
            }
        }
    }

    /// Ends it at once, with everything that it started in its group.
    pub fn kill(&mut self) {
        let exited = matches!(self.child.try_wait(), Ok(Some(_)));
        if let Some(group) = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .filter(|_| !exited)
        {
            // An error means that the group is gone, which is what is wanted.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    /// The last lines of standard error, for a message.
    pub fn report(&self) -> String {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors
            .iter()
            .fold(String::new(), |text, line| text + "\n  | " + line)
    }

    fn join_errors(&mut self) {
        if let Some(reader) = self.error_reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Hands over lines until the end of `from` or until `to` wants no more.
fn each_line(from: impl Read, mut to: impl FnMut(String) -> bool) {
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
        if !to(String::from_utf8_lossy(&line).trim_end().to_owned()) {
            return;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Process {
        Process::start(&["sh".into(), "-c".into(), script.into()], &Place::default()).unwrap()
    }

    #[test]
    fn lines_go_both_ways() {
        let mut process = shell("echo hello; read x; echo READY port=$x");
        process.write_line("17").unwrap();
        assert_eq!(process.wait_for("READY port=", LIMIT).unwrap(), "17");
        assert!(process.wait(LIMIT).unwrap().success());
    }

    #[test]
    fn an_early_end_is_reported_with_its_errors() {
        let error = shell("echo it broke >&2; exit 4")
            .read_line(LIMIT)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("it broke") && error.contains("exit status: 4"),
            "{error}"
        );
    }

    #[test]
    fn grandchildren_die_with_it() {
        let mut process = shell("sleep 1000 & echo begun; wait");
        process.wait_for("begun", LIMIT).unwrap();
        process.kill();
        // The grandchild has standard output open as well: its end is the end of both.
        process.wait(LIMIT).unwrap();
    }
}
