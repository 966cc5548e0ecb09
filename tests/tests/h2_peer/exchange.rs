//! A client and a server of the `h2` crate, talking in memory, and a record of what they said.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use observer_ebpf::record::Direction;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use wire::{Frame, PREFACE};

#[derive(Clone, Debug)]
pub struct Exchange {
    /// What the client allows the server's encoder.
    pub client_table: u32,
    pub server_table: u32,
    pub calls: Vec<Call>,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub request: Vec<(String, String)>,
    pub response: Vec<(String, String)>,
    pub answer: Answer,
    pub body: usize,
}

#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Trailers(u8),
    TrailersOnly(u8),
    Reset,
}

impl Call {
    /// Bytes of DATA in both directions.
    pub fn bytes(&self) -> usize {
        match self.answer {
            Answer::Trailers(_) => 2 * self.body,
            Answer::TrailersOnly(_) | Answer::Reset => self.body,
        }
    }
}

pub type Recorded = Vec<(Direction, Bytes)>;

/// The server's socket: the client's bytes come in.
struct Recorder {
    io: DuplexStream,
    recorded: Arc<Mutex<Recorded>>,
}

impl AsyncRead for Recorder {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(cx, buffer);
        let new = buffer.filled()[before..].to_vec();
        if !new.is_empty() {
            self.recorded
                .lock()
                .unwrap()
                .push((Direction::Ingress, new.into()));
        }
        outcome
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = outcome {
            let new = Bytes::copy_from_slice(&bytes[..written]);
            self.recorded.lock().unwrap().push((Direction::Egress, new));
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Makes the calls one after the other.
pub fn exchange(exchange: &Exchange) -> Recorded {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (near, far) = tokio::io::duplex(1 << 16);
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let socket = Recorder {
            io: near,
            recorded: Arc::clone(&recorded),
        };
        let server = tokio::spawn(serve(socket, exchange.clone()));
        call_all(far, exchange).await;
        server.abort();
        let _ = server.await;
        std::mem::take(&mut *recorded.lock().unwrap())
    })
}

async fn call_all(io: DuplexStream, exchange: &Exchange) {
    let mut builder = h2::client::Builder::new();
    builder.header_table_size(exchange.client_table);
    let (mut client, connection) = builder.handshake::<_, Bytes>(io).await.unwrap();
    tokio::spawn(connection);
    for call in &exchange.calls {
        client = client.ready().await.unwrap();
        let mut request = Request::post(format!("http://server:50051{}", call.path))
            .body(())
            .unwrap();
        *request.headers_mut() = headers(&call.request);
        request
            .headers_mut()
            .insert("content-type", HeaderValue::from_static("application/grpc"));
        request
            .headers_mut()
            .insert("te", HeaderValue::from_static("trailers"));
        let (response, mut body) = client.send_request(request, false).unwrap();
        body.send_data(vec![0; call.body].into(), true).unwrap();
        if let Ok(response) = response.await {
            let mut body = response.into_body();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
            }
            let _ = body.trailers().await;
        }
    }
}

async fn serve(io: Recorder, exchange: Exchange) {
    let mut builder = h2::server::Builder::new();
    builder.header_table_size(exchange.server_table);
    let mut connection = builder.handshake::<_, Bytes>(io).await.unwrap();
    let mut calls = exchange.calls.iter();
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(
            request.into_body(),
            respond,
            calls.next().unwrap().clone(),
        ));
    }
}

async fn answer(mut body: h2::RecvStream, mut respond: h2::server::SendResponse<Bytes>, call: Call) {
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
    }
    let mut response = Response::new(());
    *response.headers_mut() = headers(&call.response);
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    match call.answer {
        Answer::Trailers(status) => {
            let mut body = respond.send_response(response, false).unwrap();
            body.send_data(vec![0; call.body].into(), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from(u16::from(status)));
            body.send_trailers(trailers).unwrap();
        }
        Answer::TrailersOnly(status) => {
            response
                .headers_mut()
                .insert("grpc-status", HeaderValue::from(u16::from(status)));
            respond.send_response(response, true).unwrap();
        }
        Answer::Reset => respond.send_reset(h2::Reason::CANCEL),
    }
}

fn headers(metadata: &[(String, String)]) -> HeaderMap {
    let pairs = metadata.iter().map(|(name, value)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    });
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}

/// The frames of both directions, each where its last byte was seen.
pub fn in_order(recorded: &[(Direction, Bytes)]) -> Vec<(Direction, Frame)> {
    let mut frames = Vec::new();
    let mut held = [Vec::new(), Vec::new()];
    for (direction, bytes) in recorded {
        let held: &mut Vec<u8> = &mut held[*direction as usize];
        held.extend(bytes);
        if held.starts_with(&PREFACE) {
            held.drain(..PREFACE.len());
        }
        while let Some(&[a, b, c, frame_type, flags, d, e, f, g]) = held.first_chunk() {
            let end = 9 + usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
            if held.len() < end {
                break;
            }
            let payload = held[9..end].to_vec();
            held.drain(..end);
            frames.push((
                *direction,
                Frame {
                    frame_type,
                    flags,
                    stream: u32::from_be_bytes([d, e, f, g]),
                    payload,
                },
            ));
        }
    }
    frames
}
