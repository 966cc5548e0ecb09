//! Server: carries out the commands that requests bring.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use tests::workload::command::{self, Command, STATUSES};
use tests::workload::plan::Kind;
use tests::workload::tally::{MethodTally, Tally};
use tokio::io::AsyncBufReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::Options;
use crate::raw::{Raw, metadata};

/// The largest header list that the server takes: above what the plans send.
const MAX_HEADER_LIST: u32 = 256 << 10;
/// Longer than any plan takes on a starved machine. When it is over, tonic closes the connection under answers that this program has
/// counted and tonic has not sent: seen in an emulated guest, which gets no CPU for seconds, and with 8 % of a core.
const AGE_GRACE: Duration = Duration::from_mins(2);
type Answers = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
type Shared = Arc<Mutex<Tally>>;

pub async fn run(options: &Options) -> anyhow::Result<()> {
    let tally: Shared = Arc::new(Mutex::new(Tally::new("rust", "tonic 0.14")));
    let host = options.text("host", "127.0.0.1");
    let port = u16::try_from(options.number("port", 0)?).context("--port")?;
    let incoming =
        TcpIncoming::bind((host.parse::<std::net::IpAddr>()?, port).into())?.with_nodelay(Some(true));
    println!("READY port={}", incoming.local_addr()?.port());
    let milliseconds = |name| {
        options
            .number(name, 0)
            .map(|ms| (ms > 0).then(|| Duration::from_millis(ms)))
    };
    let streams = u32::try_from(options.number("max-streams", 0)?).context("--max-streams")?;
    let mut builder = tonic::transport::Server::builder()
        .http2_max_header_list_size(MAX_HEADER_LIST)
        .http2_keepalive_interval(milliseconds("keepalive-ms")?)
        .max_concurrent_streams((streams > 0).then_some(streams));
    if let Some(age) = milliseconds("max-age-ms")? {
        builder = builder
            .max_connection_age(age)
            .max_connection_age_grace(AGE_GRACE);
    }
    let counts = Arc::clone(&tally);
    let service = tower::service_fn(move |request: http::Request<tonic::body::Body>| {
        let counts = Arc::clone(&counts);
        async move { Ok::<_, Infallible>(serve(counts, request).await) }
    });
    let (end, ending) = watch::channel(false);
    let told = Arc::clone(&tally);
    tokio::spawn(async move {
        control(&told).await;
        end.send_replace(true);
    });
    let serving = builder
        .layer(tower::util::option_layer(crate::metrics::wanted()?))
        .serve_with_incoming_shutdown(service, incoming, wait(ending.clone()));
    tokio::select! {
        result = serving => result?,
        // Calls that are still open after this time are cut off, which is what stopping a server means to a client.
        () = async { wait(ending).await; tokio::time::sleep(Duration::from_millis(200)).await } => {}
    }
    print(&tally);
    Ok(())
}

async fn wait(mut ending: watch::Receiver<bool>) {
    // An error is a control task that is gone, which ends the server as well.
    let _ = ending.wait_for(|ending| *ending).await;
}

/// Answers control lines until the server has to end.
async fn control(tally: &Shared) {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return;
    };
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line.ok().flatten().as_deref() {
                Some("stats") => print(tally),
                Some("quit") | None => return,
                Some(_) => {}
            },
            _ = terminated.recv() => return,
        }
    }
}

fn print(tally: &Shared) {
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    match serde_json::to_string(&*tally) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("{error}"),
    }
}

async fn serve(
    tally: Shared,
    request: http::Request<tonic::body::Body>,
) -> http::Response<tonic::body::Body> {
    let method = request.uri().path().to_owned();
    let kind = command::kind_of(&method);
    let call = Call::begin(tally, method);
    let mut grpc = tonic::server::Grpc::new(Raw)
        .max_decoding_message_size(2 * command::MAX_MESSAGE)
        .max_encoding_message_size(2 * command::MAX_MESSAGE);
    let answering =
        tower::service_fn(move |request: Request<Streaming<Bytes>>| answer(call.clone(), kind, request));
    grpc.streaming(answering, request).await
}

async fn answer(
    call: Arc<Call>,
    kind: Option<Kind>,
    request: Request<Streaming<Bytes>>,
) -> Result<Response<Answers>, Status> {
    let mut requests = request.into_inner();
    let Some(kind) = kind else {
        call.end(12);
        return Err(Status::unimplemented("unknown method"));
    };
    let first = call.receive(&mut requests).await.unwrap_or_default();
    let command = Command::parse(&first);
    if matches!(kind, Kind::Unary | Kind::Client) {
        while call.receive(&mut requests).await.is_some() {}
    }
    tokio::time::sleep(Duration::from_millis(command.sleep_ms.into())).await;
    if !command.headers_first() {
        return Err(call.status(&command));
    }
    let headers = metadata(usize::try_from(command.response_headers).unwrap_or_default(), "");
    let answers: Answers = match kind {
        Kind::Unary | Kind::Client => Box::pin(tokio_stream::iter(call.once(&command))),
        Kind::Server | Kind::Bidi => {
            let (sender, receiver) = mpsc::channel(1);
            tokio::spawn(async move { call.stream(kind, &command, requests, sender).await });
            Box::pin(ReceiverStream::new(receiver))
        }
    };
    let mut response = Response::new(answers);
    *response.metadata_mut() = headers;
    Ok(response)
}

/// One call: its end is in the tally once, whoever ends it.
struct Call {
    tally: Shared,
    method: String,
    begun: Instant,
    counted: std::sync::atomic::AtomicBool,
}

impl Call {
    fn begin(tally: Shared, method: String) -> Arc<Self> {
        let call = Self {
            tally,
            method,
            begun: Instant::now(),
            counted: false.into(),
        };
        call.count(|method| method.started += 1);
        Arc::new(call)
    }

    fn count(&self, change: impl FnOnce(&mut MethodTally)) {
        change(
            self.tally
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .method(&self.method),
        );
    }

    fn end(&self, status: u32) {
        if !self.counted.swap(true, std::sync::atomic::Ordering::Relaxed) {
            let name = usize::try_from(status)
                .ok()
                .and_then(|status| STATUSES.get(status))
                .unwrap_or(&"UNKNOWN");
            self.count(|method| method.end(name, self.begun.elapsed()));
        }
    }

    /// Counts the end of the call, and makes what is answered: what a client has seen is always counted.
    fn status(&self, command: &Command) -> Status {
        self.end(command.status);
        let trailers = metadata(usize::try_from(command.response_trailers).unwrap_or_default(), "");
        let code = Code::from_i32(i32::try_from(command.status).unwrap_or_default());
        Status::with_metadata(code, command.message.clone(), trailers)
    }

    async fn receive(&self, requests: &mut Streaming<Bytes>) -> Option<Bytes> {
        let request = requests.next().await?.ok()?;
        self.count(|method| method.request(request.len()));
        Some(request)
    }

    fn answer(&self, command: &Command) -> Bytes {
        let answer = command::fill(usize::try_from(command.response_size).unwrap_or_default());
        self.count(|method| method.response(answer.len()));
        Bytes::from_static(answer)
    }

    /// The whole of an answer with at most one message.
    fn once(&self, command: &Command) -> Vec<Result<Bytes, Status>> {
        let message = (command.status == 0).then(|| Ok(self.answer(command)));
        message.into_iter().chain([Err(self.status(command))]).collect()
    }

    async fn stream(
        &self,
        kind: Kind,
        command: &Command,
        mut requests: Streaming<Bytes>,
        to: mpsc::Sender<Result<Bytes, Status>>,
    ) {
        if kind == Kind::Server {
            self.send(command, command.response_count, &to).await;
        } else {
            loop {
                self.send(command, command.response_count.max(1), &to).await;
                tokio::select! {
                    request = self.receive(&mut requests) => if request.is_none() { break },
                    () = to.closed() => return,
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(command.linger_ms.into())) => {}
            () = to.closed() => return,
        }
        if let Ok(permit) = to.reserve().await {
            permit.send(Err(self.status(command)));
        }
    }

    async fn send(&self, command: &Command, count: u32, to: &mpsc::Sender<Result<Bytes, Status>>) {
        for _ in 0..count {
            let Ok(permit) = to.reserve().await else { return };
            permit.send(Ok(self.answer(command)));
        }
    }
}

impl Drop for Call {
    /// A call that nobody answered has been given up by its client.
    fn drop(&mut self) {
        self.end(1);
    }
}
