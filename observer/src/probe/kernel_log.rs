//! What the kernel programs say, in builds in which they do: their decisions, as lines of the daemon's own log.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aya::Ebpf;
use aya_log::EbpfLogger;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a reader that nobody needs any more goes on waiting.
const PATIENCE: Duration = Duration::from_millis(200);

/// Reads on a thread of its own until dropped.
#[derive(Debug)]
pub struct KernelLog {
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl KernelLog {
    /// `None`: these programs say nothing, or cannot be heard.
    pub fn start(ebpf: &mut Ebpf) -> Option<Self> {
        let logger = EbpfLogger::init_with_logger(ebpf, Lines).ok()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let reader = thread::Builder::new().name("kernel-log".to_owned());
        let reader = reader.spawn(move || read(logger, &stopped));
        match reader {
            Ok(reader) => Some(Self {
                stop,
                reader: Some(reader),
            }),
            Err(error) => {
                tracing::warn!(%error, "what the kernel programs say cannot be read");
                None
            }
        }
    }
}

impl Drop for KernelLog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // What it panicked of, it has said.
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

fn read(mut logger: EbpfLogger<Lines>, stopped: &AtomicBool) {
    let patience = Timespec::try_from(PATIENCE).ok();
    loop {
        let last = stopped.load(Ordering::Acquire);
        logger.flush();
        if last {
            return;
        }
        match poll(&mut [PollFd::new(&logger, PollFlags::IN)], patience.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                let error = io::Error::from(error);
                tracing::warn!(%error, "what the kernel programs say is not read any more");
                return;
            }
        }
    }
}

/// Records of the `log` crate, which aya speaks, as events of `tracing`.
struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let place = (
            record.file().unwrap_or_default(),
            record.line().unwrap_or_default(),
        );
        tracing::info!(file = place.0, line = place.1, "kernel: {}", record.args());
    }

    fn flush(&self) {}
}
