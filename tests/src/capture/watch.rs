//! The kernel programs, attached by the test itself, and a thread that empties the ring into [`Seen`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use observer::probe::{Options, Probe, Ring, Root};
use observer_ebpf::loss::Loss;

use super::seen::Seen;
use crate::prerequisite::Error;

/// Names the kernel object, for tests that are run by hand; `cargo xtask test` sets it.
const KERNEL_OBJECT: &str = "OBSERVER_KERNEL_OBJECT";
/// Large enough that nothing is lost in tests, which is then an assertion of its own.
pub const RING_BYTES: u32 = 64 << 20;

/// The bytes of the kernel object.
pub fn object() -> Result<Vec<u8>, Error> {
    let Some(path) = std::env::var_os(KERNEL_OBJECT) else {
        return Err(Error::Missing(format!(
            "{KERNEL_OBJECT} names no kernel object; `cargo xtask test` does"
        )));
    };
    std::fs::read(&path).map_err(|error| Error::Broken(format!("{}: {error}", Path::new(&path).display())))
}

/// Loads and attaches, at the root of all cgroups if nothing else is said.
pub fn attach(group: Option<&Path>, ring_bytes: u32) -> Result<(Probe, Ring), Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::Missing("attaching kernel programs needs root".into()));
    }
    let object = object()?;
    let root = Root::find(group).map_err(|error| Error::Missing(error.to_string()))?;
    Probe::attach(
        &object,
        &root,
        Options {
            ring_bytes,
            tls: false,
        },
    )
    .map_err(|error| Error::Broken(format!("{error}\n{error:?}")))
}

#[derive(Debug)]
pub struct Watch {
    pub probe: Probe,
    pub attach_time: Duration,
    stop: Arc<AtomicBool>,
    drain: JoinHandle<Seen>,
}

impl Watch {
    pub fn start() -> Result<Self, Error> {
        let begin = Instant::now();
        let (probe, ring) = attach(None, RING_BYTES)?;
        let attach_time = begin.elapsed();
        println!("attached in {attach_time:?}");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let drain = std::thread::spawn(move || drain(ring, &stopped));
        Ok(Self {
            probe,
            attach_time,
            stop,
            drain,
        })
    }

    /// Everything that reached the ring up to now. Call it when the traffic has ended.
    ///
    /// # Panics
    /// When the draining thread has.
    pub fn finish(self) -> (Seen, Vec<(Loss, u64)>) {
        self.stop.store(true, Ordering::Release);
        let seen = self.drain.join().expect("the draining thread has panicked");
        let losses = self.probe.losses().filter(|(_, count)| *count > 0).collect();
        (seen, losses)
    }
}

fn drain(mut ring: Ring, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    loop {
        // Read before the ring, so that the last round sees everything that was written before the stop.
        let last = stop.load(Ordering::Acquire);
        let count = ring.drain(usize::MAX, |record, payload| seen.take(record, payload));
        if last && count == 0 {
            return seen;
        }
        if count == 0 {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}
