//! Metrics inside of the server, as a service has that is instrumented by hand: a tower layer that counts calls by method and
//! status, and times them. On where `TONIC_PEER_METRICS` is set.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use tonic::body::Body;
use tower::{Layer, Service};

const VARIABLE: &str = "TONIC_PEER_METRICS";

#[derive(Debug, Clone)]
pub struct Metrics {
    started: IntCounterVec,
    handled: IntCounterVec,
    handling: HistogramVec,
}

/// The layer, if it is wanted.
pub fn wanted() -> anyhow::Result<Option<Metrics>> {
    if std::env::var_os(VARIABLE).is_none() {
        return Ok(None);
    }
    let counter = |name: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, "Calls."), labels);
    let metrics = Metrics {
        started: counter("grpc_server_started_total", &["grpc_method"])?,
        handled: counter("grpc_server_handled_total", &["grpc_method", "grpc_code"])?,
        handling: HistogramVec::new(
            HistogramOpts::new("grpc_server_handling_seconds", "Duration of calls."),
            &["grpc_method"],
        )?,
    };
    let registry = Registry::new();
    registry.register(Box::new(metrics.started.clone()))?;
    registry.register(Box::new(metrics.handled.clone()))?;
    registry.register(Box::new(metrics.handling.clone()))?;
    Ok(Some(metrics))
}

impl<S> Layer<S> for Metrics {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            metrics: self.clone(),
        }
    }
}

/// A service whose calls are counted.
#[derive(Debug, Clone)]
pub struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Call {
            method: request.uri().path().to_owned(),
            begun: Instant::now(),
            metrics: self.metrics.clone(),
        };
        call.metrics.started.with_label_values(&[&call.method]).inc();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let (head, body) = answer.await?.into_parts();
            // An error without messages has its status here.
            let ended = call.end(&head.headers);
            let call = if ended { None } else { Some(call) };
            Ok(Response::from_parts(head, Body::new(Answer { body, call })))
        })
    }
}

#[derive(Debug)]
struct Call {
    method: String,
    begun: Instant,
    metrics: Metrics,
}

impl Call {
    /// Counts the call if `headers` have its status.
    fn end(&self, headers: &HeaderMap) -> bool {
        let Some(status) = headers.get("grpc-status").and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Metrics {
            handled, handling, ..
        } = &self.metrics;
        handled.with_label_values(&[self.method.as_str(), status]).inc();
        handling
            .with_label_values(&[&self.method])
            .observe(self.begun.elapsed().as_secs_f64());
        true
    }
}

/// The messages of an answer, and the trailers behind them.
struct Answer {
    body: Body,
    call: Option<Call>,
}

impl http_body::Body for Answer {
    type Data = bytes::Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, tonic::Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(trailers) = frame.trailers_ref()
            && let Some(call) = self.call.take()
        {
            call.end(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
