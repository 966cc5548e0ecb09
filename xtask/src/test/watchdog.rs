//! Ends test programs that have said nothing for long. One that waits for ever would take the whole run with it, and
//! nobody would hear of the others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::Result;

use crate::{privilege, process};

/// No test is silent for a fifth of this. Compiling may be, and is not ended.
pub const MAX_SILENCE: Duration = Duration::from_mins(10);

/// Ends every test program that `cargo` runs now, with all that they started: cargo goes on with the next one. Gives
/// their command lines; none: cargo is doing something else.
pub fn end_tests_of(cargo: u32) -> Vec<String> {
    let processes = processes();
    let tests = descendants(&processes, cargo)
        .into_iter()
        .filter(|pid| processes.get(pid) == Some(&cargo))
        .map(|pid| (pid, command_line(pid)))
        .filter(|(_, line)| is_test(line));
    tests
        .map(|(pid, line)| {
            kill(pid);
            line
        })
        .collect()
}

/// Waits for `child`, but no longer than this: then it is ended with all that it started. Whether it succeeded.
pub fn wait(mut child: Child, limit: Duration) -> Result<bool> {
    let pid = child.id();
    let (done, ended) = channel();
    let waiting = std::thread::spawn(move || {
        let status = child.wait();
        // Too late for the limit, perhaps.
        let _ = done.send(());
        status
    });
    if ended.recv_timeout(limit).is_err() {
        println!(
            "`{}` has not ended in {limit:?}, and is killed",
            command_line(pid)
        );
        kill(pid);
    }
    let status = waiting
        .join()
        .map_err(|_| anyhow::anyhow!("the waiting thread has panicked"))?;
    Ok(status?.success())
}

/// Ends it with all that it started: all are stopped first, so that none can start another one unseen.
fn kill(pid: u32) {
    let mut stopped = Vec::new();
    loop {
        let mut all = vec![pid];
        all.extend(descendants(&processes(), pid));
        if all.iter().all(|pid| stopped.contains(pid)) {
            break;
        }
        signal("-STOP", &all);
        stopped = all;
    }
    signal("-KILL", &stopped);
}

/// As root where they are: then it was `sudo` that was started.
fn signal(signal: &str, pids: &[u32]) {
    let mut command = match process::which("sudo").filter(|_| !privilege::is_root()) {
        Some(sudo) => {
            let mut command = process::command(sudo);
            command.arg("kill");
            command
        }
        None => process::command("kill"),
    };
    command.arg(signal).args(pids.iter().map(ToString::to_string));
    // Some have ended meanwhile.
    let _ = command.stderr(Stdio::null()).status();
}

/// Cargo runs compilers and build scripts too. Tests are in `deps`, by themselves or behind sudo.
fn is_test(command_line: &str) -> bool {
    command_line.split(' ').take(3).any(|word| {
        Path::new(word)
            .parent()
            .is_some_and(|folder| folder.ends_with("deps"))
    })
}

fn command_line(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    words.join(" ").trim_end().to_owned()
}

/// All processes, with their parents.
fn processes() -> BTreeMap<u32, u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        Some((
            pid,
            parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?,
        ))
    })
    .collect()
}

/// The fourth field. The second is a name in parentheses, which may have spaces and parentheses of its own.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn descendants(processes: &BTreeMap<u32, u32>, pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            processes
                .iter()
                .filter(|(_, of)| **of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.remove(0);
    found
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _};

    use super::*;

    #[test]
    fn parents_of_processes() {
        assert_eq!(parent("17 (a) b) S 4 17 17 0"), Some(4));
        assert_eq!(parent("17 (cut"), None);
        assert_eq!(
            processes().get(&std::process::id()).copied(),
            Some(std::os::unix::process::parent_id())
        );
    }

    #[test]
    fn descendants_of_all_degrees() {
        let processes = BTreeMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (6, 2)]);
        assert_eq!(descendants(&processes, 2), [3, 6, 4]);
        assert!(descendants(&processes, 4).is_empty());
    }

    #[test]
    fn tests_among_what_cargo_runs() {
        assert!(is_test(
            "/x/target/debug/deps/capture_killed-0a1b --test-threads=1"
        ));
        assert!(is_test(
            "sudo --preserve-env /x/target/debug/deps/capture_killed-0a1b"
        ));
        assert!(!is_test(
            "/x/bin/rustc --crate-name deps --edition=2024 --out-dir /x/target/debug/deps"
        ));
        assert!(!is_test("/x/target/debug/build/ring-12/build-script-build"));
    }

    #[test]
    fn what_waits_for_ever_is_ended_with_its_children() {
        let script = "sh -c 'echo; while :; do sleep 1; done' & wait";
        let mut child = process::command("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        assert!(!wait(child, Duration::ZERO).unwrap());
        // The grandchild has the other end of the pipe too.
        output.read_to_end(&mut Vec::new()).unwrap();
    }
}
