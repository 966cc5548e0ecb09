//! Accepting, and answering one request.

use std::convert::Infallible;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{timeout, timeout_at};

use super::access::{Access, Policy};
use super::auth::{Gate, Verdict};
use super::health::{Health, Question};
use super::negotiation;
use super::route::{self, Route};
use super::scrape::{Renderer, Variant};
use super::seats::{Seat, Seats};
use super::stall::{Stall, Unread};
use super::{Limits, Settings};
use crate::metrics::Registry;
use crate::metrics::own::EndpointRefused;

/// Header lines of a request, and bytes of them all. Prometheus sends 5 lines, 400 bytes.
const MAX_HEADERS: usize = 64;
const MAX_HEAD: usize = 16 * 1024;
/// After a failed `accept` (no file descriptors left): it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Told to stop: until when answers that are on the way may take.
pub type Stop = Option<Instant>;

#[derive(Clone, Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    registry: Arc<Registry>,
    health: Arc<Health>,
    access: Access,
    gate: Gate,
    renderer: Renderer,
    connections: Arc<Seats>,
    unread: Arc<Seats>,
}

/// What the requests of one connection have in common.
#[derive(Clone, Debug)]
struct Connection {
    shared: Arc<Shared>,
    /// In effect when the connection was made.
    policy: Arc<Policy>,
    seat: Arc<Mutex<Seat>>,
    unread: Unread,
    displaced: Arc<Notify>,
}

impl Server {
    /// Fails when the web configuration has a mistake.
    pub fn new(settings: Settings, registry: Arc<Registry>, health: Arc<Health>) -> anyhow::Result<Self> {
        let Limits {
            connections,
            unread_scrapes,
            reload,
            ..
        } = settings.limits;
        let access = Access::open(settings.web_config.clone(), reload, Arc::clone(&registry))?;
        let shared = Shared {
            settings,
            registry,
            health,
            access,
            gate: Gate::default(),
            renderer: Renderer::default(),
            connections: Seats::new(connections),
            unread: Seats::new(unread_scrapes),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Until told to stop.
    pub async fn serve(self, listener: TcpListener, mut stop: watch::Receiver<Stop>) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the endpoint cannot accept connections"),
        };
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                () = told_to(&mut stop) => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        tasks.spawn(serve_connection(Arc::clone(&self.shared), stream, stop.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the endpoint could not accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = tasks.join_next() => {}
            }
        }
        drop(listener);
        let until = stop.borrow().unwrap_or_else(Instant::now);
        // What is not done by then is dropped with the set.
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout_at(until.into(), all).await;
    }
}

/// Also when nobody is left who could tell.
async fn told_to(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(Option::is_some).await;
}

async fn serve_connection(shared: Arc<Shared>, stream: TcpStream, stop: watch::Receiver<Stop>) {
    let displaced = Arc::<Notify>::default();
    let (seat, crowded) = shared.connections.take(Arc::clone(&displaced));
    shared.refused(EndpointRefused::Displaced, crowded);
    // Answers are written whole; waiting to fill segments only delays the last one.
    let _ = stream.set_nodelay(true);
    let policy = shared.access.current();
    let connection = Connection {
        shared,
        policy,
        seat: Arc::new(Mutex::new(seat)),
        unread: Unread::default(),
        displaced: Arc::clone(&displaced),
    };
    tokio::select! {
        () = displaced.notified() => {}
        () = connection.serve(stream, stop) => {}
    }
}

impl Connection {
    async fn serve(&self, stream: TcpStream, stop: watch::Receiver<Stop>) {
        let Some(tls) = &self.policy.tls else {
            return self.speak(stream, stop).await;
        };
        match timeout(self.shared.settings.limits.handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream, stop).await,
            Ok(Err(error)) => {
                self.shared.refused(EndpointRefused::Tls, true);
                tracing::debug!(%error, "a TLS handshake failed");
            }
            Err(_) => self.shared.refused(EndpointRefused::TimedOut, true),
        }
    }

    async fn speak<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, mut stop: watch::Receiver<Stop>) {
        let stall = Stall::new(stream, self.shared.settings.limits, self.unread.clone());
        let service = service_fn(|request| {
            let connection = self.clone();
            async move { Ok::<_, Infallible>(connection.answer(&request).await) }
        });
        let mut http = http1::Builder::new();
        http.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD);
        let mut speaking = pin!(http.serve_connection(TokioIo::new(stall), service));
        let ended = tokio::select! {
            ended = speaking.as_mut() => ended,
            () = told_to(&mut stop) => {
                speaking.as_mut().graceful_shutdown();
                speaking.await
            }
        };
        if let Err(error) = ended {
            let late = is_timeout(&error);
            self.shared.refused(EndpointRefused::TimedOut, late);
            tracing::debug!(%error, "a connection to the endpoint ended early");
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Page> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner).refresh();
        let policy = self.shared.access.current();
        if !Arc::ptr_eq(&policy, &self.policy) && (policy.tls.is_some() || self.policy.tls.is_some()) {
            // Made under other rules, perhaps with a certificate that is no longer good. Clients connect again when a
            // connection that was kept open ends without an answer.
            self.displaced.notify_one();
            return std::future::pending().await;
        }
        let mut answer = match self.admit(&policy, request.headers()).await {
            Ok(()) => self.page(request).await,
            Err(refusal) => refusal,
        };
        for (name, value) in &policy.headers {
            answer.headers_mut().insert(name, value.clone());
        }
        answer
    }

    /// Rate and password come before anything that depends on what is asked for.
    async fn admit(&self, policy: &Policy, headers: &HeaderMap) -> Result<(), Response<Page>> {
        if policy
            .bucket
            .as_ref()
            .is_some_and(|bucket| !bucket.take(Instant::now()))
        {
            self.shared.refused(EndpointRefused::RateLimited, true);
            return Err(text(StatusCode::TOO_MANY_REQUESTS, "too many requests\n"));
        }
        let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        match policy.users.judge(authorization, &self.shared.gate).await {
            Verdict::Welcome => Ok(()),
            Verdict::Wrong => {
                self.shared.refused(EndpointRefused::Unauthorized, true);
                let answer = text(StatusCode::UNAUTHORIZED, "wrong or no user name and password\n");
                let realm = HeaderValue::from_static("Basic realm=\"marty-observer\"");
                Err(with(answer, header::WWW_AUTHENTICATE, realm))
            }
            Verdict::Busy => {
                self.shared.refused(EndpointRefused::Busy, true);
                let answer = text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many passwords are being checked\n",
                );
                Err(with(answer, header::RETRY_AFTER, HeaderValue::from_static("1")))
            }
        }
    }

    async fn page(&self, request: &Request<Incoming>) -> Response<Page> {
        match route::resolve(request.method(), request.uri().path()) {
            Route::Metrics if !self.shared.settings.metrics => text(
                StatusCode::NOT_FOUND,
                "metrics are switched off (MARTY_METRICS_ENABLED=false)\n",
            ),
            Route::Metrics => self.scrape(request.headers()).await,
            Route::Health(question) => self.health(question),
            Route::NotFound => text(
                StatusCode::NOT_FOUND,
                "not found; there are /metrics, /health, /health/live, /health/ready\n",
            ),
            Route::MethodNotAllowed => {
                let answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
                with(answer, header::ALLOW, HeaderValue::from_static(route::ALLOWED))
            }
        }
    }

    fn health(&self, question: Question) -> Response<Page> {
        let (yes, json) = self.shared.health.answer(question);
        let status = if yes {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        page(status, "application/json", json.into())
    }

    async fn scrape(&self, headers: &HeaderMap) -> Response<Page> {
        let variant = Variant {
            format: negotiation::format(&joined(headers, &header::ACCEPT)),
            gzip: negotiation::gzip(&joined(headers, &header::ACCEPT_ENCODING)),
        };
        // First, so that a client that sends requests ahead does not displace itself.
        self.unread.clear();
        let (seat, crowded) = self.shared.unread.take(Arc::clone(&self.displaced));
        self.shared.refused(EndpointRefused::Displaced, crowded);
        self.unread.hold(seat);
        let Some(body) = self.shared.renderer.render(&self.shared.registry, variant).await else {
            return text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "rendering failed; see the log\n",
            );
        };
        self.shared.registry.own().scrapes.add(1);
        let answer = page(StatusCode::OK, variant.format.content_type(), body);
        let answer = with(
            answer,
            header::VARY,
            HeaderValue::from_static("Accept, Accept-Encoding"),
        );
        if variant.gzip {
            return with(answer, header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }
}

impl Shared {
    fn refused(&self, reason: EndpointRefused, happened: bool) {
        if happened {
            self.registry.own().endpoint_refused.of(reason).add(1);
        }
    }
}

fn is_timeout(error: &hyper::Error) -> bool {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    error.is_timeout() || io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut)
}

/// A header that was sent in several lines is one list (RFC 9110, 5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines: Vec<_> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    lines.join(",")
}

/// A body that is there whole. hyper leaves it out of the answer to HEAD and keeps its length.
#[derive(Debug)]
pub struct Page(Option<Bytes>);

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

fn page(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Page> {
    let mut answer = Response::new(Page(Some(body)));
    *answer.status_mut() = status;
    let answer = with(
        answer,
        header::CONTENT_TYPE,
        HeaderValue::from_static(content_type),
    );
    with(
        answer,
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    )
}

fn text(status: StatusCode, text: &'static str) -> Response<Page> {
    page(
        status,
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    )
}

fn with(mut answer: Response<Page>, name: HeaderName, value: HeaderValue) -> Response<Page> {
    answer.headers_mut().insert(name, value);
    answer
}
