//! What makes life hard for programs while a plan runs: signals, and others that want the CPUs.

use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};

use crate::process::offspring;

/// Between two signals to a process.
const PAUSE: Duration = Duration::from_millis(1);

/// SIGUSR2 to processes again and again, until dropped; they must live as long.
#[derive(Debug)]
pub struct Storm {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Storm {
    pub fn start(processes: &[u32]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let pids: Vec<Pid> = processes
            .iter()
            .filter_map(|id| Pid::from_raw(i32::try_from(*id).ok()?))
            .collect();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for pid in &pids {
                    // One that has ended is reported by whoever waits for its answer.
                    let _ = kill_process(*pid, Signal::USR2);
                }
                std::thread::park_timeout(PAUSE);
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Processes that want a CPU all the time, as long as this lives.
#[derive(Debug)]
pub struct Pressure(Vec<Child>);

impl Pressure {
    /// Twice as many as there are CPUs.
    pub fn start() -> Result<Self> {
        let count = 2 * std::thread::available_parallelism()?.get();
        let mut pressure = Self(Vec::new());
        for _ in 0..count {
            let mut busy = Command::new("sh");
            busy.args(["-c", "while :; do :; done"]);
            pressure.0.push(offspring::spawn(busy)?);
        }
        Ok(pressure)
    }
}

impl Drop for Pressure {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
