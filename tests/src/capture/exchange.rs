//! Calls between an `h2` client and an `h2` server, both recorded.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client, server};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::timeout;

use super::place::spawn_async;
use super::progress::Progress;
use super::random::Random;
use super::tap::{End, Tap};
use crate::process::Place;

/// What to exchange, over each of `connections` at the same time.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub connections: usize,
    /// Concurrent streams of a connection, and the calls made one after the other in each.
    pub lanes: usize,
    pub calls: usize,
    /// Sizes to choose from, bytes: of each message, and of an extra header of requests, responses and trailers.
    pub bodies: Vec<usize>,
    pub blocks: Vec<usize>,
    /// One call in this many is cancelled by the client; 0: none.
    pub cancel_each: usize,
    pub seed: u64,
    /// For those who do something meanwhile.
    pub progress: Arc<Progress>,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            connections: 1,
            lanes: 1,
            calls: 4,
            bodies: vec![0, 64],
            blocks: vec![20],
            cancel_each: 0,
            seed: 1,
            progress: Arc::default(),
        }
    }
}

/// Where the two ends live and meet.
#[derive(Debug, Clone)]
pub struct Ends {
    pub client: Place,
    pub server: Place,
    pub address: IpAddr,
}

impl Ends {
    pub fn loopback(address: IpAddr) -> Self {
        Self {
            client: Place::default(),
            server: Place::default(),
            address,
        }
    }
}

/// Some tests take a minute. What takes longer than this waits for something that will not come.
const MAX_EXCHANGE: Duration = Duration::from_mins(5);
const WINDOW: u32 = 4 << 20;
const MAX_BLOCK: u32 = 1 << 20;
const EXTRA: &str = "x-extra";
/// Tells the server what to answer: sizes of header, body and trailer.
const ANSWER: &str = "x-answer";

impl Exchange {
    /// Runs to the end; returns what every application saw.
    ///
    /// # Panics
    /// When one of the two threads has.
    pub fn run(&self, ends: &Ends) -> Result<Vec<End>> {
        let (address, connections, progress) = (ends.address, self.connections, Arc::clone(&self.progress));
        let (tell, told) = std::sync::mpsc::channel();
        // Nobody may wait for connections that a failed client will not make.
        let (finished, client_finished) = oneshot::channel::<()>();
        let server = spawn_async(&ends.server, move || async move {
            let listener = TcpListener::bind((address, 0)).await?;
            tell.send(listener.local_addr()?)?;
            tokio::select! {
                ends = serve(listener, connections, &progress) => ends,
                () = failure(client_finished) => bail!("the client has failed"),
            }
        });
        let at: SocketAddr = told.recv().context("the server does not listen")?;
        let exchange = self.clone();
        let client = spawn_async(&ends.client, move || async move {
            let ends = timeout(MAX_EXCHANGE, exchange.call_all(at)).await;
            let ends = ends
                .with_context(|| format!("not through after {MAX_EXCHANGE:?}"))
                .flatten();
            if ends.is_ok() {
                // The server may be through before.
                let _ = finished.send(());
            }
            ends
        });
        let client = client.join().expect("the client has panicked");
        let server = server.join().expect("the server has panicked");
        let (client, server) = match (client, server) {
            (Ok(client), Ok(server)) => (client, server),
            (client, server) => bail!("client: {:?}, server: {:?}", client.err(), server.err()),
        };
        Ok(client.into_iter().chain(server).collect())
    }

    async fn call_all(self, at: SocketAddr) -> Result<Vec<End>> {
        let mut connections = JoinSet::new();
        for number in 0..self.connections {
            let mut exchange = self.clone();
            exchange.seed = self.seed.wrapping_add(number as u64 * 1_000_003);
            connections.spawn_local(async move {
                let tap = Tap::new(TcpStream::connect(at).await?)?;
                exchange.progress.begin(&tap);
                exchange.connection(tap).await
            });
        }
        let mut ends = Vec::new();
        while let Some(end) = connections.join_next().await {
            ends.push(end??);
        }
        Ok(ends)
    }

    /// All calls of one connection, from its preface to its end.
    pub async fn connection(&self, tap: Tap) -> Result<End> {
        let mut builder = client::Builder::new();
        builder
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW * 4);
        builder.max_header_list_size(MAX_BLOCK);
        let (requests, connection) = builder.handshake::<_, Bytes>(tap.clone()).await?;
        let driver = spawn_local(connection);
        let mut lanes = JoinSet::new();
        for lane in 0..self.lanes {
            let (requests, exchange) = (requests.clone(), self.clone());
            lanes.spawn_local(async move { exchange.lane(requests, lane as u64).await });
        }
        drop(requests);
        while let Some(lane) = lanes.join_next().await {
            lane??;
        }
        driver.await??;
        Ok(tap.finish().await?)
    }

    async fn lane(self, requests: client::SendRequest<Bytes>, lane: u64) -> Result<()> {
        let mut random = Random::new(self.seed ^ lane << 32);
        for call in 0..self.calls {
            if self.progress.is_stopped() {
                break;
            }
            let cancel = self.cancel_each > 0 && random.below(self.cancel_each) == 0;
            let sent = self.call(requests.clone(), &mut random, cancel).await;
            sent.with_context(|| format!("lane {lane}, call {call}"))?;
            self.progress.count();
        }
        Ok(())
    }

    async fn call(
        &self,
        requests: client::SendRequest<Bytes>,
        random: &mut Random,
        cancel: bool,
    ) -> Result<()> {
        let mut size = |sizes: &[usize]| random.one_of(sizes);
        let answer = format!(
            "{},{},{}",
            size(&self.blocks),
            size(&self.bodies),
            size(&self.blocks)
        );
        let (block, body) = (size(&self.blocks), size(&self.bodies));
        let request = Request::post(format!("http://observer.test/test.Capture/M{}", random.below(7)))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header(ANSWER, answer)
            .header(EXTRA, random.header_value(block))
            .body(())?;
        let mut requests = requests.ready().await?;
        let (response, mut stream) = requests.send_request(request, false)?;
        if cancel {
            stream.send_reset(Reason::CANCEL);
            return Ok(());
        }
        // Answers may come before the request has ended, so both ways go on at once.
        let sent = spawn_local(async move { send(&mut stream, body, None).await });
        let mut response = response.await?.into_body();
        receive(&mut response).await?;
        response.trailers().await?;
        sent.await?
    }
}

/// Comes when the other side is gone without having said that it finished.
async fn failure(finished: oneshot::Receiver<()>) {
    if finished.await.is_ok() {
        std::future::pending::<()>().await;
    }
}

async fn serve(listener: TcpListener, connections: usize, progress: &Progress) -> Result<Vec<End>> {
    let mut open = JoinSet::new();
    for _ in 0..connections {
        let (stream, _) = listener.accept().await?;
        let tap = Tap::new(stream)?;
        progress.begin(&tap);
        open.spawn_local(serve_connection(tap));
    }
    let mut ends = Vec::new();
    while let Some(end) = open.join_next().await {
        ends.push(end??);
    }
    Ok(ends)
}

/// Answers every request of a connection until the client closes it.
pub async fn serve_connection(tap: Tap) -> Result<End> {
    let mut builder = server::Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * 4);
    builder
        .max_header_list_size(MAX_BLOCK)
        .max_concurrent_streams(1000);
    // Cancelled calls are wanted here; h2 takes more than a few for an attack.
    builder.max_pending_accept_reset_streams(1000);
    let mut connection = builder.handshake::<_, Bytes>(tap.clone()).await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        // A cancelled call ends in an error here, which is as it should be.
        spawn_local(async move { answer(request, respond).await.ok() });
    }
    Ok(tap.finish().await?)
}

async fn answer(request: Request<RecvStream>, mut respond: server::SendResponse<Bytes>) -> Result<()> {
    let wanted = request
        .headers()
        .get(ANSWER)
        .context("no wish")?
        .to_str()?
        .to_owned();
    let mut sizes = wanted.split(',').map(str::parse::<usize>);
    let mut size = || sizes.next().context("a size is missing");
    let (block, body, trailer) = (size()??, size()??, size()??);
    let mut random = Random::new((block + body + trailer) as u64);
    receive(&mut request.into_body()).await?;
    let response = Response::builder()
        .header("content-type", "application/grpc")
        .header(EXTRA, random.header_value(block))
        .body(())?;
    let mut stream = respond.send_response(response, false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert(EXTRA, HeaderValue::from_str(&random.header_value(trailer))?);
    send(&mut stream, body, Some(trailers)).await
}

async fn receive(body: &mut RecvStream) -> Result<()> {
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    Ok(())
}

async fn send(stream: &mut SendStream<Bytes>, length: usize, trailers: Option<HeaderMap>) -> Result<()> {
    let mut left = length;
    while left > 0 {
        stream.reserve_capacity(left);
        let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let now = capacity.context("the stream has ended")??.min(left);
        stream.send_data(Bytes::from(vec![0x5a; now]), false)?;
        left -= now;
    }
    match trailers {
        Some(trailers) => stream.send_trailers(trailers)?,
        None => stream.send_data(Bytes::new(), true)?,
    }
    Ok(())
}

/// Whether a kernel has this address to bind: IPv6 may be switched off.
pub fn is_available(address: IpAddr) -> io::Result<()> {
    std::net::TcpListener::bind((address, 0)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::Pair;
    use crate::prerequisite::or_skip;

    #[test]
    fn a_client_that_cannot_connect_ends_both() {
        let Some(pair) = or_skip("a_client_that_cannot_connect_ends_both", Pair::new()) else {
            return;
        };
        // Each end has a loopback of its own, and nobody listens at the client's.
        let ends = Ends {
            client: pair.client(),
            server: pair.server(),
            address: IpAddr::from([127, 0, 0, 1]),
        };
        let error = Exchange::default().run(&ends).unwrap_err().to_string();
        assert!(
            error.contains("refused") && error.contains("client has failed"),
            "{error}"
        );
    }
}
