//! Client: runs plans, a task per concurrent call.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::uri::PathAndQuery;
use tests::workload::command::{self, Command, STATUSES};
use tests::workload::plan::{Kind, Plan, Step};
use tests::workload::tally::Tally;
use tokio::io::AsyncBufReadExt as _;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::raw::{Raw, metadata};

const MAX_HEADER_LIST: u32 = 256 << 10;
static MARK: AtomicU64 = AtomicU64::new(0);

pub async fn run(address: &str) -> anyhow::Result<()> {
    println!("READY");
    let mut pool = Vec::new();
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await?.filter(|line: &String| line != "quit") {
        let plan: Plan = serde_json::from_str(&line).context("a plan")?;
        let tally = Arc::new(Mutex::new(Tally::new("rust", "tonic 0.14")));
        for step in plan.steps {
            run_step(address, step, &tally, &mut pool).await?;
        }
        println!(
            "{}",
            serde_json::to_string(&*tally.lock().unwrap_or_else(PoisonError::into_inner))?
        );
    }
    Ok(())
}

async fn open(address: &str) -> anyhow::Result<Channel> {
    let endpoint =
        Endpoint::from_shared(format!("http://{address}"))?.http2_max_header_list_size(MAX_HEADER_LIST);
    endpoint
        .connect()
        .await
        .with_context(|| format!("no connection to {address}"))
}

/// Makes all calls of a step; `pool` keeps its connections for the next one.
async fn run_step(
    address: &str,
    step: Step,
    tally: &Arc<Mutex<Tally>>,
    pool: &mut Vec<Channel>,
) -> anyhow::Result<()> {
    let connections = usize::try_from(step.connections)?;
    while !step.churn && pool.len() < connections {
        pool.push(open(address).await?);
    }
    let (step, turns) = (Arc::new(step), Arc::new(AtomicU32::new(0)));
    let mut workers = tokio::task::JoinSet::new();
    for index in 0..connections {
        for _ in 0..step.concurrency {
            let (step, turns, tally) = (Arc::clone(&step), Arc::clone(&turns), Arc::clone(tally));
            let (channel, address) = (pool.get(index).cloned(), address.to_owned());
            workers.spawn(async move {
                while turns.fetch_add(1, Ordering::Relaxed) < step.count {
                    let channel = match &channel {
                        Some(channel) if !step.churn => channel.clone(),
                        _ => open(&address).await?,
                    };
                    Call {
                        step: &step,
                        tally: &tally,
                        sizes: Vec::new(),
                    }
                    .run(channel)
                    .await;
                }
                anyhow::Ok(())
            });
        }
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(())
}

struct Call<'a> {
    step: &'a Step,
    tally: &'a Mutex<Tally>,
    sizes: Vec<usize>,
}

impl Call<'_> {
    fn tally(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn run(mut self, channel: Channel) {
        let step = self.step;
        self.tally(|tally| tally.method(&step.method).started += 1);
        let begun = Instant::now();
        let limit = |ms: u64| {
            if ms == 0 {
                Duration::MAX
            } else {
                Duration::from_millis(ms)
            }
        };
        // Dropping a call is how tonic cancels: it resets the stream.
        let ended = tokio::select! {
            ended = self.call(channel) => ended,
            () = pause(limit(step.deadline_ms)) => Err(Status::deadline_exceeded("")),
            () = pause(limit(step.cancel_after_ms)) => Err(Status::cancelled("")),
        };
        let status = ended.err().unwrap_or_else(|| Status::ok(""));
        let name = usize::try_from(i32::from(status.code()))
            .ok()
            .and_then(|code| STATUSES.get(code))
            .unwrap_or(&"?");
        self.tally(|tally| tally.method(&step.method).end(name, begun.elapsed()));
        self.check(name, status.message());
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let step = self.step;
        let mut request = Request::new(message);
        let mark = if step.metadata_unique {
            format!("{:08}-", MARK.fetch_add(1, Ordering::Relaxed))
        } else {
            String::new()
        };
        *request.metadata_mut() = metadata(step.metadata_size, &mark);
        if step.deadline_ms > 0 {
            request.set_timeout(Duration::from_millis(step.deadline_ms));
        }
        request
    }

    fn message(&self, number: u32) -> Bytes {
        let data = if number == 0 {
            Bytes::from(Command::of(self.step).encode(self.step.request_size))
        } else {
            Bytes::from_static(command::fill(self.step.request_size))
        };
        self.tally(|tally| tally.method(&self.step.method).request(data.len()));
        data
    }

    fn received(&mut self, answer: &Bytes) {
        self.sizes.push(answer.len());
        let size = answer.len();
        self.tally(|tally| tally.method(&self.step.method).response(size));
    }

    async fn call(&mut self, channel: Channel) -> Result<(), Status> {
        let step = self.step;
        let path: PathAndQuery = step.method.parse().map_err(|_| Status::internal("not a path"))?;
        let mut grpc = Grpc::new(channel)
            .max_decoding_message_size(2 * command::MAX_MESSAGE)
            .max_encoding_message_size(2 * command::MAX_MESSAGE);
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        match step.kind {
            Kind::Unary => {
                let answer = grpc.unary(self.request(self.message(0)), path, Raw).await?;
                self.received(answer.get_ref());
            }
            Kind::Client => {
                let messages: Vec<Bytes> = (0..step.requests()).map(|number| self.message(number)).collect();
                let request = self.request(tokio_stream::iter(messages));
                let answer = grpc.client_streaming(request, path, Raw).await?;
                self.received(answer.get_ref());
            }
            Kind::Server | Kind::Bidi => self.stream(grpc, path).await?,
        }
        Ok(())
    }

    /// In a conversation, each request waits for the answers to the one before.
    async fn stream(&mut self, mut grpc: Grpc<Channel>, path: PathAndQuery) -> Result<(), Status> {
        let step = self.step;
        let (sender, receiver) = mpsc::channel(1);
        let _ = sender.send(self.message(0)).await;
        let mut sender = Some(sender).filter(|_| step.requests() > 1);
        let mut answers = grpc
            .streaming(self.request(ReceiverStream::new(receiver)), path, Raw)
            .await?
            .into_inner();
        let mut sent = 1;
        while let Some(answer) = answers.next().await {
            self.received(&answer?);
            if step.cancel_after_first {
                return Err(Status::cancelled(""));
            }
            if step.kind == Kind::Bidi
                && self
                    .sizes
                    .len()
                    .is_multiple_of(usize::try_from(step.answers_each()).unwrap_or(1))
            {
                match sender.as_ref().filter(|_| sent < step.requests()) {
                    Some(sender) => {
                        let _ = sender.send(self.message(sent)).await;
                        sent += 1;
                    }
                    None => sender = None,
                }
            }
        }
        Ok(())
    }

    fn check(&self, got: &str, detail: &str) {
        let step = self.step;
        let Some(wanted) = step.expected() else { return };
        if wanted != got {
            return self.tally(|tally| tally.unexpected(&step.method, wanted, got, detail));
        }
        let asked = usize::try_from(step.status)
            .ok()
            .and_then(|status| STATUSES.get(status));
        let size = usize::try_from(step.response_size).unwrap_or_default();
        let complete = self.sizes.len() as u64 == u64::from(step.answers());
        if got != "CANCELLED"
            && asked == Some(&got)
            && !(complete && self.sizes.iter().all(|found| *found == size))
        {
            let detail = format!("{} answers", self.sizes.len());
            self.tally(|tally| tally.unexpected(&step.method, wanted, "WRONG_ANSWER", &detail));
        }
    }
}

async fn pause(time: Duration) {
    if time == Duration::MAX {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(time).await;
}
