//! Whole captures, written by hand, to whole results.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the lengths are those of packets made here"
)]

use observer_ebpf::record::{DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS};
use observer_ebpf::walker::PREFACE;

use super::*;

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 50_051);

/// A capture of raw IP with times in nanoseconds, big-endian.
struct Writer {
    file: Vec<u8>,
    sequences: [u32; 2],
    client: u16,
}

impl Writer {
    fn new() -> Self {
        let head: [&[u8]; 4] = [
            &[0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4],
            &[0; 8],
            &[0, 4, 0, 0],
            &[0, 0, 0, 101],
        ];
        Self {
            file: head.concat(),
            sequences: [1000, 2000],
            client: 40_000,
        }
    }

    /// A segment at `microseconds`, from the client or the server.
    fn segment(&mut self, client: bool, flags: u8, microseconds: u32, payload: &[u8]) {
        let mut ports = [self.client, SERVER.1];
        if !client {
            ports.reverse();
        }
        let sequence = &mut self.sequences[usize::from(client)];
        let tcp = [
            &ports.map(u16::to_be_bytes).concat()[..],
            &sequence.to_be_bytes(),
            &[0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0],
            payload,
        ]
        .concat();
        *sequence += payload.len() as u32 + u32::from(flags & (packet::SYN | packet::FIN) != 0);
        let total = (tcp.len() as u16 + 20).to_be_bytes();
        let ip = [
            &[0x45, 0][..],
            &total,
            &[0, 0, 0x40, 0, 64, 6, 0, 0],
            &SERVER.0,
            &SERVER.0,
            &tcp,
        ]
        .concat();
        let length = ip.len() as u32;
        for word in [
            microseconds / 1_000_000,
            microseconds % 1_000_000 * 1000,
            length,
            length,
        ] {
            self.file.extend(word.to_be_bytes());
        }
        self.file.extend(ip);
    }

    fn open(&mut self) {
        self.segment(true, packet::SYN, 0, b"");
        self.segment(false, packet::SYN | packet::ACK, 1, b"");
        self.segment(
            true,
            packet::ACK,
            2,
            &[&PREFACE[..], &frame(SETTINGS, 0, 0, b"")].concat(),
        );
        self.segment(false, packet::ACK, 3, &frame(SETTINGS, 0, 0, b""));
    }

    /// A call that takes two milliseconds.
    fn call(&mut self, stream: u32, at: u32, path: &str, status: &str) {
        let request = [
            (":method", "POST"),
            (":path", path),
            ("content-type", "application/grpc"),
        ];
        let head = frame(HEADERS, END_HEADERS, stream, &fields(&request));
        self.segment(
            true,
            0,
            at,
            &[head, frame(DATA, END_STREAM, stream, &[0; 5])].concat(),
        );
        let response = [(":status", "200"), ("content-type", "application/grpc")];
        let head = frame(HEADERS, END_HEADERS, stream, &fields(&response));
        let trailers = fields(&[("grpc-status", status)]);
        self.segment(
            false,
            0,
            at + 1000,
            &[head, frame(DATA, 0, stream, &[0; 9])].concat(),
        );
        self.segment(
            false,
            0,
            at + 2000,
            &frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailers),
        );
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal fields that go into no table.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    fields
        .iter()
        .flat_map(|(name, value)| [vec![0], text(name), text(value)].concat())
        .collect()
}

fn capture() -> Vec<u8> {
    let mut writer = Writer::new();
    writer.open();
    for call in 0..10 {
        writer.call(call * 2 + 1, 10_000 + call * 5000, "/a.B/Get", "0");
    }
    writer.call(21, 100_000, "/a.B/Put", "5");
    writer.file
}

fn replayed(file: &[u8], format: ReplayFormat) -> (bool, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let damaged = decode(&Config::default(), file, None, format, &mut out, &mut err).unwrap();
    (
        damaged,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

#[test]
fn table() {
    let (damaged, out, err) = replayed(&capture(), ReplayFormat::Table);
    let expected = "\
METHOD    STATUS                  COUNT       P50       P95       P99
/a.B/Get  OK                         10    2.00ms    2.00ms    2.00ms
/a.B/Put  NOT_FOUND                   1    2.00ms    2.00ms    2.00ms

37 packets, 37 of TCP in 1 connections
";
    assert_eq!((damaged, out.as_str(), err.as_str()), (false, expected, ""));
}

#[test]
fn prometheus() {
    let (_, out, _) = replayed(&capture(), ReplayFormat::Prometheus);
    let expect = |line: &str| assert!(out.lines().any(|other| other == line), "no {line} in {out}");
    let own = r#"service="127.0.0.1:50051",method="/a.B/Get""#;
    expect(&format!("marty_grpc_requests_total{{{own},status=\"OK\"}} 10"));
    expect(&format!(
        "marty_grpc_request_duration_seconds_bucket{{{own},le=\"0.0025\"}} 10"
    ));
    expect(&format!("marty_grpc_request_bytes_total{{{own}}} 50"));
    expect(&format!("marty_grpc_response_bytes_total{{{own}}} 90"));
}

#[test]
fn json_and_damage() {
    let file = capture();
    let (damaged, out, err) = replayed(&file[..file.len() - 1], ReplayFormat::Json);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["calls"][0]["count"], 10);
    assert_eq!(value["calls_open"], 1);
    let offset = value["damage"]["offset"].as_u64().unwrap();
    assert!(damaged && offset < file.len() as u64);
    assert!(err.contains(&format!("damaged at byte {offset}")), "{err}");
}

/// The same port again, without the end of the first connection.
#[test]
fn ports_used_again() {
    let mut writer = Writer::new();
    writer.open();
    writer.call(1, 1000, "/a.B/Get", "0");
    writer.sequences = [9_000_000, 8_000_000];
    writer.open();
    writer.call(1, 50_000, "/a.B/Get", "0");
    let (_, out, _) = replayed(&writer.file, ReplayFormat::Table);
    assert!(out.contains("/a.B/Get  OK                          2 "), "{out}");
    assert!(out.contains("in 2 connections"), "{out}");
}

/// Captured from the middle on, at the client.
#[test]
fn joined() {
    let mut writer = Writer::new();
    for call in 0..10 {
        writer.call(call * 2 + 101, 10_000 + call * 5000, "/a.B/Get", "0");
    }
    let (_, out, _) = replayed(&writer.file, ReplayFormat::Table);
    assert!(out.contains("/a.B/Get"), "{out}");
    assert!(!out.contains("_unknown") && !out.contains("UNKNOWN"), "{out}");
}

#[test]
fn what_cannot_be_read() {
    let refused = |file: &[u8]| {
        let mut sink = io::sink();
        decode(
            &Config::default(),
            file,
            None,
            ReplayFormat::Table,
            &mut sink,
            &mut io::sink(),
        )
        .unwrap_err()
        .to_string()
    };
    assert!(refused(b"hello, world").contains("neither pcap nor pcapng"));
    assert!(refused(b"").contains("empty"));
}
