//! Starting children that the kernel kills when this process ends, however it ends: also when it is killed and nothing
//! of ours can clean up. Programs that a child runs in its own place (`ip netns exec`, `sh -c 'exec …'`) are the same
//! process to the kernel. Their own children are not covered.

use std::io::{Error, Result};
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// The kernel watches the thread that forked, not its process, and threads of tests come and go: one that never ends
/// starts all children.
static STARTER: LazyLock<Sender<Order>> = LazyLock::new(|| {
    let (sender, orders) = channel::<Order>();
    std::thread::spawn(move || {
        for Order { mut command, answer } in orders {
            // Who no longer waits for it has ended, and the child with it.
            let _ = answer.send(start(&mut command));
        }
    });
    sender
});

struct Order {
    command: Command,
    answer: Sender<Result<Child>>,
}

pub fn spawn(command: Command) -> Result<Child> {
    let (answer, started) = channel();
    let asked = STARTER.send(Order { command, answer });
    asked.map_err(|_| Error::other("no thread starts children"))?;
    started
        .recv()
        .map_err(|_| Error::other("the thread that starts children has ended"))?
}

#[expect(unsafe_code, reason = "the kernel is to be told between fork and exec")]
fn start(command: &mut Command) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let parent = getpid();
    // SAFETY: what runs there makes two system calls, takes no lock and allocates nothing.
    unsafe { command.pre_exec(move || die_with(parent)) };
    command.spawn()
}

/// Has the calling process killed at the end of the thread that started it, which has to be one of `parent`.
pub fn die_with(parent: Pid) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // One that has ended in between sends no signal any more.
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(Error::from(std::io::ErrorKind::NotFound))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::time::Duration;

    use super::*;
    use crate::process::{Place, Process};
    use crate::wait;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let asked = std::thread::spawn(move || spawn(command));
        let mut child = asked.join().unwrap().unwrap();
        drop(child.stdin.take());
        // Killed by the kernel, it would end by a signal.
        assert!(child.wait().unwrap().success());
    }

    /// Started again by itself, as a harness that is about to be killed.
    #[test]
    fn a_harness_that_is_killed_leaves_nothing() {
        const CHILD: &str = "OBSERVER_TEST_OFFSPRING";
        if std::env::var_os(CHILD).is_some() {
            let script = "echo $$ > \"$0\"; exec sleep 1000";
            let file = std::env::var_os(CHILD).unwrap();
            let child = Process::start(
                &["sh".into(), "-c".into(), script.into(), file],
                &Place::default(),
            );
            child.unwrap().wait(Duration::from_secs(1000)).unwrap();
        }
        let file = std::env::temp_dir().join(format!("observer-offspring-{}", std::process::id()));
        let this = "process::offspring::tests::a_harness_that_is_killed_leaves_nothing";
        let mut harness = Command::new(std::env::current_exe().unwrap());
        harness.args(["--exact", this]).env(CHILD, &file);
        harness.stdout(Stdio::null());
        let mut harness = spawn(harness).unwrap();
        let child = wait::until(LIMIT, || {
            let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
            let id = text.strip_suffix('\n').ok_or("half a line")?;
            Ok::<_, String>(id.to_owned())
        })
        .unwrap();
        harness.kill().unwrap();
        harness.wait().unwrap();
        std::fs::remove_file(&file).unwrap();
        wait::until(LIMIT, || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            // Whoever inherited it may let it be a zombie for a while.
            let is_gone = stat.is_empty() || stat.contains(") Z ");
            is_gone.then_some(()).ok_or(stat)
        })
        .unwrap();
    }
}
