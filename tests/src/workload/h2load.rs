//! nghttp2's h2load as a client: the same unary call again and again, by an encoder that is none of gRPC's. It cannot
//! see a status: the server's tally tells what its calls ended with.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::cache;
use super::plan::Step;
use crate::prerequisite::{Error, apt};
use crate::process::{Place, Process};

const LIMIT: Duration = Duration::from_mins(5);
static NEXT: AtomicU32 = AtomicU32::new(0);

#[derive(Debug, Clone, Copy)]
pub struct H2load;

impl H2load {
    pub fn prepare() -> Result<Self, Error> {
        apt::install_for(&[("h2load", "nghttp2-client")])?;
        Ok(Self)
    }

    /// Makes the calls of a step (method, count, connections, concurrency, command) to a server (`http://…`, or `https://…`,
    /// whose certificate it does not check); gives how many got a whole answer.
    pub fn run(self, url: &str, step: &Step, place: &Place) -> Result<u64> {
        let mut running = self.start(url, step, place)?;
        let answered = running.answered()?;
        let Running { process, .. } = &mut running;
        ensure!(
            process.wait(LIMIT)?.success(),
            "h2load failed{}",
            process.report()
        );
        Ok(answered)
    }

    /// Begins to make them.
    pub fn start(self, url: &str, step: &Step, place: &Place) -> Result<Running> {
        let body = Body::new(&framed(
            &super::command::Command::of(step).encode(step.request_size),
        ))?;
        let mut command: Vec<OsString> = ["h2load", "-t", "1"].map(OsString::from).into();
        for (name, value) in [
            ("-n", step.count),
            ("-c", step.connections),
            ("-m", step.concurrency),
        ] {
            command.extend([name.into(), value.to_string().into()]);
        }
        for header in ["content-type: application/grpc", "te: trailers"] {
            command.extend(["-H".into(), header.into()]);
        }
        command.extend([
            "-d".into(),
            body.0.clone().into(),
            format!("{url}{}", step.method).into(),
        ]);
        Ok(Running {
            process: Process::start(&command, place)?,
            _body: body,
        })
    }
}

/// One that makes its calls.
#[derive(Debug)]
pub struct Running {
    pub process: Process,
    _body: Body,
}

impl Running {
    /// Waits for the end of its calls; gives how many got a whole answer.
    pub fn answered(&mut self) -> Result<u64> {
        // requests: 10 total, 10 started, 10 done, 10 succeeded, 0 failed, 0 errored, 0 timeout
        let told = self.process.wait_for("requests:", LIMIT)?;
        let word = told.split(", ").find_map(|part| part.strip_suffix(" succeeded"));
        word.and_then(|word| word.parse().ok())
            .with_context(|| format!("h2load says {told:?}"))
    }
}

/// A message as it stands in DATA frames.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], length.to_be_bytes().as_slice(), message].concat()
}

/// The file that h2load takes a request's body from.
#[derive(Debug)]
struct Body(PathBuf);

impl Body {
    fn new(data: &[u8]) -> Result<Self> {
        let name = format!(
            "h2load-{}-{}.body",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = cache::target_directory().join("workloads");
        std::fs::create_dir_all(&folder)?;
        let body = Self(folder.join(name));
        std::fs::write(&body.0, data)?;
        Ok(body)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // What cannot be removed lies in the target directory, where it harms nobody.
        let _ = std::fs::remove_file(&self.0);
    }
}
