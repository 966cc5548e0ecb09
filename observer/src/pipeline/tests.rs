//! Records in, numbers out.

mod naming;
mod plaintext;

use std::sync::Arc;

use observer_ebpf::record::{
    Close, DataCount, Direction, END_HEADERS, END_STREAM, HEADERS, Kind, Protocol, Record, Role, Socket,
};

use super::*;
use crate::attribution::{Identity, Resolution, Source};
use crate::metrics::render::render;
use crate::metrics::{Format, Settings as MetricsSettings};

/// Answers as the test says.
#[derive(Debug, Default)]
struct Names {
    late: bool,
    /// The list of pods is not there yet.
    unlisted: bool,
    /// There is no room for another question.
    full: bool,
    version: u64,
    asked: usize,
    ready: Vec<(u64, Attributed)>,
}

fn attributed(service: &str) -> Attributed {
    of_pod(service, Source::Process)
}

fn of_pod(service: &str, source: Source) -> Attributed {
    let mut identity = Identity::unknown("node");
    identity.service = service.into();
    identity.source = source;
    Attributed {
        identity: Arc::new(identity),
        peer: "peer".into(),
    }
}

impl Naming for Names {
    fn resolve(&mut self, _connection: u64, _socket: &Socket, _now: Instant) -> Resolution {
        self.asked += 1;
        if self.late {
            Resolution::Pending
        } else if self.full {
            Resolution::Refused(of_pod("_unknown", Source::Unknown))
        } else if self.unlisted {
            Resolution::Known(of_pod("uid", Source::PodUid))
        } else {
            Resolution::Known(attributed("svc"))
        }
    }

    fn renew(&mut self, connection: u64, socket: &Socket, now: Instant, _: bool) -> Resolution {
        self.resolve(connection, socket, now)
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn answers(&mut self, _now: Instant) -> Vec<(u64, Attributed)> {
        std::mem::take(&mut self.ready)
    }

    fn nobody(&mut self, _socket: &Socket) -> Attributed {
        of_pod("_unknown", Source::Unknown)
    }

    fn missed(&self) -> u64 {
        0
    }
}

struct Bench {
    pipeline: Pipeline<Names>,
    sequence: [u32; 2],
    /// Of the next header block.
    stream: u32,
}

impl Bench {
    fn new(late: bool, max_connections: usize) -> Self {
        let (recorder, _) = crate::metrics::new(MetricsSettings::default());
        let settings = Settings {
            max_connections,
            ..Settings::default()
        };
        let pipeline = Pipeline::new(
            recorder,
            Names {
                late,
                ..Names::default()
            },
            settings,
        );
        Self {
            pipeline,
            sequence: [0; 2],
            stream: 1,
        }
    }

    fn record(&mut self, connection: u64, kind: Kind, direction: Direction, payload: &[u8]) -> Record {
        let sequence = &mut self.sequence[direction as usize];
        *sequence += 1;
        Record {
            connection,
            time: 1_000_000 * u64::from(*sequence),
            sequence: *sequence - 1,
            kind: kind as u8,
            direction: direction as u8,
            frame_type: 0,
            flags: 0,
            stream: 0,
            length: 0,
            offset: 0,
            payload: payload.len() as u32,
            data: DataCount::default(),
            data_other: DataCount::default(),
        }
    }

    fn open(&mut self, connection: u64, protocol: Protocol) {
        let socket = socket_bytes(protocol);
        let record = self.record(connection, Kind::Socket, Direction::Ingress, &socket);
        self.pipeline.on_record(&record, &socket);
    }

    fn headers(&mut self, connection: u64, direction: Direction, flags: u8, fields: &[(&str, &str)]) {
        let block = block(fields);
        let record = Record {
            frame_type: HEADERS,
            flags: flags | END_HEADERS,
            stream: self.stream,
            length: block.len() as u32,
            ..self.record(connection, Kind::Frame, direction, &block)
        };
        self.pipeline.on_record(&record, &block);
    }

    /// One call that ends with a trailers-only response.
    fn call(&mut self, connection: u64, status: &str) {
        let request = [
            (":method", "POST"),
            (":path", "/p.S/M"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        self.headers(connection, Direction::Ingress, 0, &request);
        let response = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", status),
        ];
        self.headers(connection, Direction::Egress, END_STREAM, &response);
    }

    fn gone(&mut self, connection: u64) {
        let record = Record {
            frame_type: Close::Gone as u8,
            ..self.record(connection, Kind::Closed, Direction::Ingress, &[])
        };
        self.pipeline.on_record(&record, &[]);
    }

    fn sweep(&mut self) {
        let monotonic = self.pipeline.now.monotonic + SWEEP;
        self.pipeline.advance(Now { monotonic, unix: 1 }, Instant::now());
    }

    fn text(&self) -> String {
        String::from_utf8(render(self.pipeline.recorder().registry(), Format::Text)).unwrap()
    }

    #[track_caller]
    fn expect(&self, line: &str) {
        let text = self.text();
        assert!(text.lines().any(|found| found == line), "no `{line}` in:\n{text}");
    }
}

/// Literal fields, not indexed, not Huffman coded (RFC 7541, section 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A `Socket` as the kernel lays it out.
fn socket_bytes(protocol: Protocol) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<Socket>()];
    let tail = bytes.len() - 8;
    bytes[tail] = protocol as u8;
    bytes[tail + 1] = Role::Passive as u8;
    bytes
}

#[test]
fn named_at_once() {
    let mut bench = Bench::new(false, 10);
    bench.open(7, Protocol::Http2);
    bench.call(7, "5");
    bench.expect(r#"marty_grpc_requests_total{service="svc",method="/p.S/M",status="NOT_FOUND"} 1"#);
    bench.expect(r#"marty_grpc_errors_total{service="svc",method="/p.S/M",error_type="NOT_FOUND"} 1"#);
    bench.expect(r#"marty_grpc_requests_in_flight{service="svc",method="/p.S/M"} 0"#);
    bench.expect(r#"marty_grpc_active_connections{service="svc"} 1"#);
    bench.expect(r#"marty_observer_connections{protocol="grpc"} 1"#);
    bench.gone(7);
    bench.expect(r#"marty_grpc_active_connections{service="svc"} 0"#);
    bench.expect(r#"marty_observer_connections{protocol="grpc"} 0"#);
    assert!(!bench.pipeline.holds(7));
}

#[test]
fn what_is_not_http2_is_counted_while_it_is_open() {
    let mut bench = Bench::new(false, 10);
    bench.open(9, Protocol::Tls);
    bench.expect(r#"marty_observer_connections{protocol="tls"} 1"#);
    bench.gone(9);
    bench.expect(r#"marty_observer_connections{protocol="tls"} 0"#);
    bench.expect(r#"marty_observer_connections_seen_total{protocol="tls"} 1"#);
}

#[test]
fn the_quietest_goes_at_the_ceiling() {
    let mut bench = Bench::new(false, 2);
    bench.open(1, Protocol::Http2);
    bench.call(1, "0");
    bench.sequence = [0; 2];
    bench.open(2, Protocol::Http2);
    bench.sequence = [9; 2];
    bench.call(1, "0");
    bench.sequence = [0; 2];
    bench.open(3, Protocol::Http2);
    assert_eq!(
        [1, 2, 3].map(|cookie| bench.pipeline.holds(cookie)),
        [true, false, true]
    );
    bench.expect(r#"marty_observer_lost_total{reason="evicted_connection"} 1"#);
}

#[test]
fn the_first_record_that_reached_us_is_not_the_first() {
    let mut bench = Bench::new(false, 10);
    bench.call(5, "0");
    assert!(bench.pipeline.holds(5), "it is decoded from here on");
    bench.gone(5);
    assert!(!bench.pipeline.holds(5));
}

#[test]
fn a_call_begins_before_its_socket_is_told() {
    let mut bench = Bench::new(false, 10);
    let request = [
        (":method", "POST"),
        (":path", "/p.S/M"),
        ("content-type", "application/grpc"),
    ];
    bench.headers(5, Direction::Ingress, 0, &request);
    bench.open(5, Protocol::Http2);
    bench.expect(r#"marty_grpc_requests_in_flight{service="svc",method="/p.S/M"} 1"#);
    bench.gone(5);
    bench.expect(r#"marty_grpc_requests_started_total{service="svc",method="/p.S/M"} 1"#);
    bench.expect(r#"marty_grpc_requests_in_flight{service="svc",method="/p.S/M"} 0"#);
}

#[test]
fn a_socket_that_is_never_told_is_not_waited_for_forever() {
    let mut bench = Bench::new(false, 10);
    bench.call(5, "0");
    assert!(
        !bench.text().contains("marty_grpc_requests_total{"),
        "{}",
        bench.text()
    );
    for _ in 0..4 {
        bench.sweep();
    }
    bench.expect(r#"marty_grpc_requests_total{service="svc",method="/p.S/M",status="OK"} 1"#);
    for _ in 0..61 {
        bench.sweep();
    }
    assert!(!bench.pipeline.holds(5), "nothing says that it is still there");
}

#[test]
fn what_another_processor_told_after_the_end_is_no_connection() {
    let mut bench = Bench::new(false, 10);
    bench.open(7, Protocol::Http2);
    bench.gone(7);
    bench.call(7, "0");
    assert!(!bench.pipeline.holds(7));
}

#[test]
fn more_ends_than_are_remembered() {
    let mut bench = Bench::new(false, 10);
    for connection in 0..MAX_ENDED as u64 + 3 {
        bench.sequence = [0; 2];
        bench.open(connection, Protocol::Tls);
        bench.gone(connection);
    }
    bench.expect(r#"marty_observer_lost_total{reason="forgotten_end"} 3"#);
    bench.sweep();
    bench.open(1 << 20, Protocol::Tls);
    bench.gone(1 << 20);
    bench.expect(r#"marty_observer_lost_total{reason="forgotten_end"} 3"#);
}

/// A connection tells only so many methods apart; the calls of the others are `_other`'s, and that is told.
#[test]
fn more_methods_than_a_connection_tells_apart() {
    let mut bench = Bench::new(false, 10);
    bench.open(7, Protocol::Http2);
    let paths = (0..crate::rpc::MAX_METHODS + 2).map(|number| format!("/p.S/M{number}"));
    for path in paths {
        let request = [
            (":method", "POST"),
            (":path", &*path),
            ("content-type", "application/grpc"),
        ];
        bench.headers(7, Direction::Ingress, 0, &request);
        let response = [(":status", "200"), ("grpc-status", "0")];
        bench.headers(7, Direction::Egress, END_STREAM, &response);
        bench.stream += 2;
    }
    let refused = |bench: &Bench| {
        let own = bench.pipeline.recorder().registry().own();
        own.refused.of(crate::metrics::own::Refused::Method).get()
    };
    let by_service = (crate::rpc::MAX_METHODS - crate::metrics::settings::DEFAULT_MAX_METHODS) as u64;
    assert_eq!(refused(&bench), by_service);
    bench.sweep();
    assert_eq!(refused(&bench), by_service + 2);
}

#[test]
fn http1_is_left_for_http2() {
    let mut bench = Bench::new(false, 10);
    bench.open(7, Protocol::Http1);
    bench.open(7, Protocol::Http2);
    bench.call(7, "0");
    bench.sweep();
    bench.expect(r#"marty_grpc_requests_total{service="svc",method="/p.S/M",status="OK"} 1"#);
    bench.expect(r#"marty_observer_lost_total{reason="record_gap"} 0"#);
    bench.expect("marty_observer_resynchronisations_total 0");
}

#[test]
fn a_late_record_of_less_knowledge_changes_nothing() {
    let mut bench = Bench::new(false, 10);
    bench.open(7, Protocol::Http2);
    bench.open(7, Protocol::Undecided);
    bench.expect(r#"marty_observer_connections{protocol="http2"} 1"#);
    bench.call(7, "0");
    bench.expect(r#"marty_observer_connections{protocol="grpc"} 1"#);
}
