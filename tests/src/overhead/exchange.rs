//! A pair without a gRPC library: two processes that write to each other calls of the form that grpc-go's have, byte for byte the same for
//! every call but for the stream. It does next to nothing itself and needs no program but this one, so that what the
//! observer adds to its calls can be counted wherever the tests are built.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use observer_ebpf::record::{ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS, WINDOW_UPDATE};
use wire::{Encoder, Field, Form, Frame, PREFACE};

use super::pair::{Taken, Watcher, measured};
use crate::process::{Place, Process};

/// How this program is started as an end of the pair, with the number of calls at once.
pub const SERVER: &str = "exchange-server";
pub const CLIENT: &str = "exchange-client";
pub const METHOD: &str = "/exchange.v1.Exchange/Echo";
const LIMIT: Duration = Duration::from_mins(2);

/// Calls that begin or end together, in one write.
#[derive(Debug)]
struct Burst {
    bytes: Vec<u8>,
    /// Where a stream's number stands, and which of the calls it is of.
    streams: Vec<(usize, u32)>,
}

impl Burst {
    fn requests(encoder: &mut Encoder, at_once: u32) -> Self {
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", METHOD),
            (":authority", "exchange:50051"),
            ("content-type", "application/grpc"),
            ("user-agent", "grpc-go/1.81.0"),
            ("te", "trailers"),
        ];
        let mut burst = Self::begin(0);
        for call in 0..at_once {
            burst.push(HEADERS, END_HEADERS, call, block(encoder, &fields));
            burst.push(DATA, END_STREAM, call, vec![0; 21]);
        }
        burst
    }

    fn responses(encoder: &mut Encoder, at_once: u32) -> Self {
        let head = [(":status", "200"), ("content-type", "application/grpc")];
        let trailers = [("grpc-status", "0"), ("grpc-message", "")];
        let mut burst = Self::begin(ACK);
        for call in 0..at_once {
            burst.push(HEADERS, END_HEADERS, call, block(encoder, &head));
            burst.push(DATA, 0, call, vec![0; 21]);
            burst.push(HEADERS, END_HEADERS | END_STREAM, call, block(encoder, &trailers));
        }
        burst
    }

    /// With what grpc-go writes before: its window, and a PING or the answer to one.
    fn begin(flags: u8) -> Self {
        let mut bytes = frame(WINDOW_UPDATE, 0, vec![0, 0, 0, 21]);
        bytes.extend(frame(PING, flags, vec![2; 8]));
        Self {
            bytes,
            streams: Vec::new(),
        }
    }

    fn push(&mut self, frame_type: u8, flags: u8, call: u32, payload: Vec<u8>) {
        self.streams.push((self.bytes.len() + 5, call));
        self.bytes.extend(frame(frame_type, flags, payload));
    }

    /// The bytes for calls whose first has this number.
    fn of(&mut self, first: u32) -> &[u8] {
        for &(place, call) in &self.streams {
            self.bytes[place..place + 4].copy_from_slice(&(first + 2 * call).to_be_bytes());
        }
        &self.bytes
    }
}

fn frame(frame_type: u8, flags: u8, payload: Vec<u8>) -> Vec<u8> {
    let frame = Frame {
        frame_type,
        flags,
        stream: 0,
        payload,
    };
    frame.bytes()
}

fn block(encoder: &mut Encoder, fields: &[(&str, &str)]) -> Vec<u8> {
    let fields: Vec<Field> = fields
        .iter()
        .map(|&(name, value)| Field {
            name: name.to_owned(),
            value: value.to_owned(),
            form: Form::Indexing,
            huffman: true,
        })
        .collect();
    encoder.encode(&fields)
}

/// What both ends write: each at first with what it inserts into its header table, then always the same.
struct Script {
    requests: [Burst; 2],
    responses: [Burst; 2],
}

impl Script {
    fn new(at_once: u32) -> Self {
        let [mut client, mut server] = [Encoder::default(), Encoder::default()];
        Self {
            requests: [(); 2].map(|()| Burst::requests(&mut client, at_once)),
            responses: [(); 2].map(|()| Burst::responses(&mut server, at_once)),
        }
    }
}

/// Answers until the other end closes.
pub fn server(at_once: u32) -> Result<()> {
    let Script {
        requests,
        mut responses,
    } = Script::new(at_once);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("READY {}", listener.local_addr()?);
    let (mut connection, _) = listener.accept()?;
    connection.set_nodelay(true)?;
    let opening = [&PREFACE[..], &frame(SETTINGS, 0, Vec::new())].concat();
    connection.read_exact(&mut vec![0; opening.len()])?;
    connection.write_all(&frame(SETTINGS, 0, Vec::new()))?;
    let mut first = 1;
    let mut which = 0;
    let mut buffer = vec![0; requests[0].bytes.len().max(requests[1].bytes.len())];
    // The first byte apart: that is where the connection may end.
    while connection.read(&mut buffer[..1])? > 0 {
        connection.read_exact(&mut buffer[1..requests[which].bytes.len()])?;
        connection.write_all(responses[which].of(first))?;
        first += 2 * at_once;
        which = 1;
    }
    println!("DONE");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Makes as many rounds of calls as each line of the standard input says.
pub fn client(address: &str, at_once: u32) -> Result<()> {
    let Script {
        mut requests,
        responses,
    } = Script::new(at_once);
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.write_all(&PREFACE)?;
    connection.write_all(&frame(SETTINGS, 0, Vec::new()))?;
    connection.read_exact(&mut vec![0; frame(SETTINGS, 0, Vec::new()).len()])?;
    let mut first = 1;
    let mut which = 0;
    let mut buffer = vec![0; responses[0].bytes.len().max(responses[1].bytes.len())];
    for line in std::io::stdin().lines() {
        for _ in 0..line?.parse::<u32>()? {
            connection.write_all(requests[which].of(first))?;
            connection.read_exact(&mut buffer[..responses[which].bytes.len()])?;
            first += 2 * at_once;
            which = 1;
        }
        println!("DONE");
    }
    Ok(())
}

/// Makes `warm` calls, and then `calls` that are measured.
pub fn run(place: &Place, at_once: u32, [warm, calls]: [u32; 2], watcher: Option<Watcher>) -> Result<Taken> {
    ensure!(
        warm.is_multiple_of(at_once) && calls.is_multiple_of(at_once),
        "whole rounds"
    );
    let this = std::env::current_exe()?;
    let at = at_once.to_string();
    let start = |words: &[&str]| {
        let mut command = vec![this.clone().into()];
        command.extend(words.iter().map(Into::into));
        Process::start(&command, place)
    };
    let mut server = start(&[SERVER, &at])?;
    let address = server.wait_for("READY ", LIMIT)?;
    let mut client = start(&[CLIENT, &address, &at])?;
    let ids = [server.id(), client.id()];
    let mut rounds = |calls: u32| -> Result<()> {
        client.write_line(&(calls / at_once).to_string())?;
        client.wait_for("DONE", LIMIT).map(drop)
    };
    rounds(warm)?;
    let taken = measured(ids, watcher, calls, || rounds(calls));
    drop(client);
    let taken = taken?;
    server.wait_for("DONE", LIMIT).context("the server")?;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_numbered_anew_and_blocks_shrink_to_indices() {
        let mut script = Script::new(2);
        let [first, second] = &mut script.requests;
        // Inserted once, and indices from then on.
        assert!(first.bytes.len() > second.bytes.len());
        let told = [first.of(1).to_vec(), second.of(5).to_vec()];
        let streams = |bytes: &[u8], burst: &Burst| -> Vec<u32> {
            let at = |&(place, _): &(usize, u32)| <[u8; 4]>::try_from(&bytes[place..place + 4]).unwrap();
            burst
                .streams
                .iter()
                .map(|place| u32::from_be_bytes(at(place)))
                .collect()
        };
        assert_eq!(streams(&told[0], &script.requests[0]), [1, 1, 3, 3]);
        assert_eq!(streams(&told[1], &script.requests[1]), [5, 5, 7, 7]);
    }
}
