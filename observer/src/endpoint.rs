//! The HTTP side: `/metrics` and `/health`, on a thread of its own.
//!
//! HTTP/1.1 by hyper, alone, on a single-threaded tokio runtime: four routes need no router, and scrapers need no
//! HTTP/2. Everything is bounded: connections and unread answers by [`seats`], time by [`stall`], rendering by
//! [`scrape`], passwords by [`auth`]. Nobody who reads slowly or not at all holds up another, or the pipeline.
//!
//! Boundary: reads the registry and the health, and decides nothing about them.

pub mod access;
pub mod auth;
pub mod health;
pub mod negotiation;
pub mod rate_limit;
pub mod route;
pub mod scrape;
pub mod seats;
pub mod server;
pub mod stall;
pub mod tls;
pub mod web_config;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::watch;

pub use health::Health;

use crate::metrics::Registry;

/// What the configuration decides, and the limits, which it does not.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// Whether `/metrics` is there.
    pub metrics: bool,
    /// TLS and users.
    pub web_config: Option<PathBuf>,
    pub limits: Limits,
}

impl Settings {
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            metrics: true,
            web_config: None,
            limits: Limits::default(),
        }
    }
}

/// Bounds of the endpoint. Not settings: nobody has a reason to change them, but tests have one not to wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A Prometheus pair, a collector, probes, a person: a dozen. Each costs up to 50 KiB with TLS.
    pub connections: usize,
    /// Answers not read yet. At the default ceiling of series one takes about 7 MB (shared by those who asked
    /// together), so this many of different age are below 60 MB.
    pub unread_scrapes: usize,
    /// Between two requests; longer than the usual scrape intervals, so that connections (and TLS sessions) last.
    pub idle: Duration,
    /// From the first byte of a request to the first byte of the answer.
    pub request: Duration,
    /// From the first byte of an answer to the last. A scraper gives up after 10 s by default.
    pub response: Duration,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// Between two looks at the files of the web configuration.
    pub reload: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            unread_scrapes: 8,
            idle: Duration::from_mins(3),
            request: Duration::from_secs(20),
            response: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            reload: Duration::from_secs(1),
        }
    }
}

/// The running endpoint. Dropping it stops it.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    stop: watch::Sender<server::Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Binds (so that a port in use is told at once) and serves.
    pub fn start(settings: Settings, registry: Arc<Registry>, health: Arc<Health>) -> anyhow::Result<Self> {
        let listen = settings.listen;
        let server = server::Server::new(settings, registry, health)?;
        let listener = TcpListener::bind(listen)
            .with_context(|| format!("cannot listen on {listen}; choose another address with --listen"))?;
        listener
            .set_nonblocking(true)
            .context("cannot make the listening socket non-blocking")?;
        let address = listener
            .local_addr()
            .context("the listening socket has no address")?;
        // Blocking threads: one renders, one checks passwords, one reads a changed configuration.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(3)
            .thread_keep_alive(Duration::from_secs(1))
            .build()
            .context("cannot start the endpoint's event loop")?;
        let (stop, stopped) = watch::channel(None);

        let thread = std::thread::Builder::new()
            .name("endpoint".into())
            .spawn(move || {
                runtime.block_on(server.serve(listener, stopped));
                // A page that is being rendered for somebody who has gone is not waited for.
                runtime.shutdown_background();
            })
            .context("cannot start the endpoint's thread")?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connection, lets answers that are on the way finish, but until then at most, and returns.
    pub fn stop(mut self, until: Instant) {
        self.join(until);
    }

    fn join(&mut self, until: Instant) {
        self.stop.send_replace(Some(until));
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there; the rest of the shutdown goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.join(Instant::now());
    }
}
