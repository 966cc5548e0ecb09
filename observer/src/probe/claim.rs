//! An observer's claim on the cgroup that it attaches to: a second observer there would count every call twice.
//!
//! It is a lock (`flock`) on the cgroup's directory: the one object that observers in different containers share, and
//! one that the kernel gives back when the process dies, however it dies. Anybody who may open the directory may
//! lock it, so a holder that could not be an observer, for want of privileges, is passed over. A holder that cannot be
//! seen (in another PID namespace, from a container without the host's) is believed: it may be an observer.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use rustix::fs::{major, minor};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::Root;
use super::privilege::Capabilities;

/// How long one that is being replaced may take to let go; it does so when it detaches, within a few milliseconds of
/// being told.
const PATIENCE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    #[error(
        "another observer{0} is attached to this cgroup, and two would count every call twice; stop it, or give this \
         one another part of the hierarchy by --cgroup-path"
    )]
    Taken(Holder),
    #[error("cannot lock the cgroup's directory: {0}")]
    Lock(#[from] io::Error),
}

/// The process that holds a claim, where this process can see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(formatter, " (process {pid})"),
            None => Ok(()),
        }
    }
}

/// Given back when dropped.
#[derive(Debug)]
pub struct Claim(File);

impl Drop for Claim {
    fn drop(&mut self) {
        // The description of the open directory lives on in the root, so closing this would not unlock it.
        let _unlocked = self.0.unlock();
    }
}

impl Claim {
    /// Claims the cgroup, for which it waits a little where another observer is about to end.
    ///
    /// `None`: somebody who is no observer holds the lock, and must not be able to keep one from starting. With
    /// `given_up`, there is no waiting any more.
    pub fn wait(root: &Root, given_up: impl Fn() -> bool) -> Result<Option<Self>, ClaimError> {
        let end = Instant::now() + PATIENCE;
        loop {
            match Self::take(root) {
                Err(ClaimError::Taken(_)) if Instant::now() < end && !given_up() => std::thread::sleep(AGAIN),
                outcome => return outcome,
            }
        }
    }

    /// Claims the cgroup now or not at all.
    pub fn take(root: &Root) -> Result<Option<Self>, ClaimError> {
        let directory = File::from(root.as_fd().try_clone_to_owned()?);
        match directory.try_lock() {
            Ok(()) => Ok(Some(Self(directory))),
            Err(TryLockError::Error(error)) => Err(error.into()),
            Err(TryLockError::WouldBlock) => match holder(&directory)? {
                Some(pid) if is_harmless(pid) => Ok(None),
                pid => Err(ClaimError::Taken(Holder(pid))),
            },
        }
    }
}

/// The process that holds the lock; `None`: it is not one of those that this process can see.
fn holder(directory: &File) -> io::Result<Option<u32>> {
    let about = directory.metadata()?;
    let file = format!(
        "{:02x}:{:02x}:{}",
        major(about.dev()),
        minor(about.dev()),
        about.ino()
    );
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    Ok(of_file(&locks, &file))
}

/// Looks for `1: FLOCK  ADVISORY  WRITE 812 00:1b:1 0 EOF`; one who waits has an arrow before the kind.
fn of_file(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (kind, _, _, pid, of) = (
            words.next()?,
            words.next()?,
            words.next()?,
            words.next()?,
            words.next()?,
        );
        (kind == "FLOCK" && of == file)
            .then(|| pid.parse().ok())
            .flatten()
    })
}

/// Whether this can be no observer: it lacks the privileges, or is no more. An observer holds the lock itself, as long as
/// it lives; who has left it to others is none. One that cannot be looked at is not taken for harmless.
fn is_harmless(pid: u32) -> bool {
    let unprivileged =
        Capabilities::of_process(pid).is_some_and(|capabilities| !capabilities.missing().is_empty());
    let map = std::fs::read_to_string(format!("/proc/{pid}/uid_map"));
    unprivileged || map.is_ok_and(|map| !is_initial(&map)) || is_dead(pid)
}

/// Asked of the kernel, because procfs may hide the processes of others.
fn is_dead(pid: u32) -> bool {
    let pid = pid.try_into().ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// Whether this is the map of the initial user namespace, in which alone capabilities are worth what they say: anybody
/// has all of them in a user namespace of his own. Only root can give another one the same map.
fn is_initial(uid_map: &str) -> bool {
    uid_map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn locks() {
        let text = "1: POSIX  ADVISORY  WRITE 11 00:1b:1 0 EOF\n\
                    2: FLOCK  ADVISORY  WRITE 12 00:1b:1 0 EOF\n\
                    2: -> FLOCK  ADVISORY  WRITE 13 00:1b:1 0 EOF\n\
                    3: FLOCK  ADVISORY  READ 14 fd:01:77 0 EOF\n\
                    nonsense\n";
        assert_eq!(of_file(text, "00:1b:1"), Some(12));
        assert_eq!(of_file(text, "fd:01:77"), Some(14));
        assert_eq!(of_file(text, "00:1b:2"), None);
        assert_eq!(of_file("", "00:1b:1"), None);
    }

    #[test]
    fn maps_of_user_namespaces() {
        assert!(is_initial("         0          0 4294967295\n"));
        assert!(!is_initial("         0       1000          1\n"));
        assert!(!is_initial("         0     100000      65536\n"));
        assert!(!is_initial("0 0 1000\n1000 1000 4294966295\n"));
        assert!(!is_initial(""));
    }

    /// Whether a holder that does this, with `$0` for the directory, is passed over.
    fn check_holder(namespaces: &[&str], script: &str) {
        let folder = tempfile::tempdir().unwrap();
        let mut holder = Command::new("unshare")
            .args(namespaces)
            .args(["sh", "-c", script])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let claim = Claim::take(&Root::find(Some(folder.path())).unwrap());
        drop(holder.stdin.take());
        let ended = holder.wait().unwrap();
        if line == "locked\n" {
            assert!(matches!(claim, Ok(None)), "{script}: {claim:?}");
        } else {
            eprintln!("SKIPPED: no user namespace to be had ({ended})");
        }
    }

    /// Its own user namespace gives it every capability, and none of them counts outside.
    #[test]
    fn a_holder_in_a_user_namespace_is_passed_over() {
        let script = "exec flock \"$0\" sh -c 'echo locked; read end'";
        check_holder(&["--user", "--map-root-user"], script);
    }

    #[test]
    fn a_lock_that_its_taker_has_left_to_others_is_passed_over() {
        check_holder(&[], "exec 9<\"$0\"; flock 9; echo locked; read end");
    }

    #[test]
    fn a_second_claim_waits_for_the_first() {
        // Any directory will do for the lock; a cgroup of one's own needs root.
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [(); 2].map(|()| Root::find(Some(folder.path())).unwrap());
        let claim = Claim::take(&first).unwrap().unwrap();
        match Claim::take(&second) {
            // Tests that run without privileges are no observer.
            Ok(None) => assert!(is_harmless(std::process::id())),
            outcome => {
                let message = outcome.unwrap_err().to_string();
                assert!(
                    message.contains(&format!("(process {})", std::process::id())),
                    "{message}"
                );
            }
        }
        drop(claim);
        assert!(Claim::take(&second).unwrap().is_some());
    }
}
