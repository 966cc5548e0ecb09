//! The endpoint over real sockets, with a registry that was filled by hand.
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use observer::clock::SystemClock;
use observer::endpoint::{Endpoint, Health, Settings};
use observer::metrics::collected::Measured;
use observer::metrics::family::Group;
use observer::metrics::own::{Carries, EndpointRefused};
use observer::metrics::{self, End, Method, Recorder, Registry, ServiceLabels, Side, Status, catalogue};
use proptest::prelude::*;
use tests::monitoring::Servers;
use tests::plain_http::{Answer, ask, connect, get};
use tests::prerequisite::or_skip;
use tests::wait;

struct Running {
    endpoint: Endpoint,
    health: Arc<Health>,
    registry: Arc<Registry>,
    recorder: Recorder,
    _collection: metrics::Collection,
}

impl Running {
    fn start(methods: usize, change: impl FnOnce(&mut Settings)) -> Self {
        let (mut recorder, registry) = metrics::new(metrics::Settings::default());
        fill(&mut recorder, methods);
        let collection = collect(&registry);
        let health = Arc::new(Health::new(Arc::new(SystemClock)));
        let mut settings = Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        change(&mut settings);
        let endpoint = Endpoint::start(settings, Arc::clone(&registry), Arc::clone(&health)).expect("start");
        Self {
            endpoint,
            health,
            registry,
            recorder,
            _collection: collection,
        }
    }

    fn get(&self, path: &str, headers: &[&str]) -> Answer {
        get(self.endpoint.address(), path, headers).expect("an answer")
    }

    fn ask(&self, method: &str, path: &str) -> Answer {
        ask(
            &mut connect(self.endpoint.address()).expect("connect"),
            method,
            path,
            &[],
        )
        .expect("an answer")
    }

    fn refused(&self, reason: EndpointRefused) -> u64 {
        self.registry.own().endpoint_refused.of(reason).get()
    }
}

/// Calls of both sides with every status, and hostile label values.
fn fill(recorder: &mut Recorder, methods: usize) {
    let labels = ServiceLabels {
        service: "csca-\"service\"",
        namespace: "prod",
        pod: "csca-1",
    };
    let mut service = recorder.service(&labels);
    service.connection_opened(recorder);
    recorder.advance(metrics::Now {
        monotonic: 1,
        unix: 1_700_000_000_000_000_000,
    });
    for index in 0..methods {
        let path = format!("/csca.CscaService/{index}\"\\\n\u{e4}\u{85}");
        for side in [Side::Server, Side::Client { peer: "10.0.0.1" }] {
            let mut cells = recorder.method(&service, side, Method::Path(path.as_bytes()));
            for status in Status::ALL {
                cells.started(recorder);
                cells.bytes(recorder, 1, 2);
                let duration_nanoseconds = Some(1_234_567);
                cells.ended(
                    recorder,
                    End {
                        status,
                        duration_nanoseconds,
                        was_started: true,
                    },
                );
            }
        }
    }
    recorder.registry().own().connections.of(Carries::Grpc).add(1);
}

/// What the gauges tell of themselves.
const OF_THE_GAUGES: [&str; 10] = [
    catalogue::PODS.name,
    catalogue::POD_ORIGIN.name,
    catalogue::KUBERNETES_FAILING.name,
    catalogue::KUBERNETES_ERRORS.name,
    catalogue::KUBERNETES_EVENTS.name,
    catalogue::KUBERNETES_LISTS.name,
    catalogue::PROCESSES_DENIED.name,
    catalogue::LEFT_OUT.name,
    catalogue::GAUGE_PASS.name,
    catalogue::OLDEST_SOCKETS.name,
];

/// One sample of every family that collectors fill.
fn collect(registry: &Arc<Registry>) -> metrics::Collection {
    let families = catalogue::ALL.iter().filter(|family| {
        matches!(family.group, Group::Service | Group::Node) && family.name != catalogue::LAST_SUCCESS.name
            || family.name.contains("_program_")
            || OF_THE_GAUGES.contains(&family.name)
    });
    let measured: Vec<_> = families
        .map(|family| {
            let own = family.labels.to_vec();
            Measured {
                family,
                own,
                namespace: "prod",
                pod: "csca-1",
                value: 0.5,
            }
        })
        .collect();
    let collection = registry.collection();
    collection.publish(&measured);
    collection
}

fn piped(program: impl AsRef<OsStr>, arguments: &[&str], input: &[u8]) -> std::process::Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("the writer").expect("the program reads");
    output
}

#[test]
fn metrics_in_both_formats() {
    let running = Running::start(2, |_| {});
    let text = running.get("/metrics", &[]);
    assert_eq!(text.status, 200);
    assert_eq!(
        text.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(
        text.text().contains("# TYPE marty_grpc_requests_total counter"),
        "{}",
        text.text()
    );
    let open = running.get(
        "/metrics",
        &["accept: application/openmetrics-text;version=1.0.0"],
    );
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((open.status, open.header("content-type")), (200, Some(expected)));
    assert!(open.text().contains("# TYPE marty_grpc_requests counter") && open.text().ends_with("\n# EOF\n"));
}

#[test]
fn gzip_when_asked_for() {
    let running = Running::start(2, |_| {});
    let zipped = running.get("/metrics", &["accept-encoding: gzip"]);
    assert_eq!(
        (zipped.status, zipped.header("content-encoding")),
        (200, Some("gzip"))
    );
    assert_eq!(zipped.header("vary"), Some("Accept, Accept-Encoding"));
    let output = piped("gzip", &["-dc"], &zipped.body);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("marty_grpc_requests_total{"));
}

#[test]
fn health_pages() {
    let running = Running::start(0, |_| {});
    let statuses = || ["/health", "/health/live", "/health/ready"].map(|path| running.get(path, &[]).status);
    assert_eq!(statuses(), [503, 200, 503]);
    running.health.set_attached(true);
    assert_eq!(statuses(), [200, 200, 200]);
    let page = running.get("/health", &[]);
    assert_eq!(page.header("content-type"), Some("application/json"));
    assert!(
        page.text().contains("\"service\":\"marty-observer\""),
        "{}",
        page.text()
    );
}

#[test]
fn everything_else_is_refused() {
    let running = Running::start(0, |_| {});
    let nowhere = "not found; there are /metrics, /health, /health/live, /health/ready\n";
    for (method, path, status, body) in [
        ("GET", "/", 404, nowhere),
        ("POST", "/nowhere", 404, nowhere),
        ("POST", "/metrics", 405, "only GET and HEAD\n"),
        ("DELETE", "/health", 405, "only GET and HEAD\n"),
    ] {
        let answer = running.ask(method, path);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (status, body),
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), (status == 405).then_some("GET, HEAD"));
    }
}

#[test]
fn head_has_the_length_and_no_body() {
    let running = Running::start(1, |_| {});
    let mut stream = connect(running.endpoint.address()).expect("connect");
    let head = ask(&mut stream, "HEAD", "/health/live", &[]).expect("an answer");
    assert!(
        head.header("content-length").is_some_and(|length| length != "0"),
        "{head:?}"
    );
    // On the same connection: had there been a body, this would read it.
    let next = ask(&mut stream, "GET", "/health/live", &[]).expect("an answer");
    assert_eq!(next.status, 200);
}

#[test]
fn metrics_switched_off() {
    let running = Running::start(1, |settings| settings.metrics = false);
    let answer = running.get("/metrics", &[]);
    let body = "metrics are switched off (MARTY_METRICS_ENABLED=false)\n";
    assert_eq!((answer.status, answer.text().as_str()), (404, body));
    assert_eq!(running.get("/health/live", &[]).status, 200);
}

#[test]
fn port_in_use() {
    let running = Running::start(0, |_| {});
    let again = Settings::new(running.endpoint.address());
    let error = Endpoint::start(again, Arc::clone(&running.registry), Arc::clone(&running.health));
    let message = format!("{:#}", error.expect_err("must be refused"));
    let address = running.endpoint.address();
    let expected = format!("cannot listen on {address}; choose another address with --listen: ");
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn requests_beyond_the_limits() {
    let running = Running::start(0, |_| {});
    let long = format!("x: {}", "y".repeat(20_000));
    let many = vec!["x: y"; 100];
    assert_eq!(running.get("/health/live", &[&long]).status, 431);
    assert_eq!(running.get("/health/live", &many).status, 431);
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = connect(running.endpoint.address()).expect("connect");
        stream.write_all(garbage.as_bytes()).expect("write");
        let mut all = Vec::new();
        // The connection ends, with a 400 or without. A limit of time is no end.
        match stream.read_to_end(&mut all) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{garbage:?}: {error}"),
            _ => assert!(
                all.is_empty() || all.starts_with(b"HTTP/1.1 400"),
                "{garbage:?}: {all:?}"
            ),
        }
    }
    assert_eq!(running.get("/health/live", &[]).status, 200);
}

/// Of about 3 MB each: together more than the sockets on both sides buffer.
const ANSWERS: usize = 8;

fn ask_and_not_read(address: SocketAddr) -> std::net::TcpStream {
    let mut stream = connect(address).expect("connect");
    stream
        .write_all(&b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(ANSWERS))
        .expect("write");
    stream
}

fn until(mut holds: impl FnMut() -> bool) {
    let look = || {
        if holds() {
            return Ok(());
        }
        Err("it does not hold yet".to_owned())
    };
    wait::until(Duration::from_mins(1), look).expect("in time");
}

#[test]
fn stuck_readers_hold_nothing_up() {
    let running = Running::start(200, |settings| settings.limits.unread_scrapes = 4);
    // Far more than there are places, and none of them reads.
    let stuck: Vec<_> = (0..20)
        .map(|_| ask_and_not_read(running.endpoint.address()))
        .collect();
    let displaced = || running.refused(EndpointRefused::Displaced);
    until(|| displaced() >= 16);
    let answer = running.get("/metrics", &[]);
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("marty_grpc_requests_total{"));
    assert_eq!(running.get("/health/live", &[]).status, 200);
    assert_eq!(displaced(), 17, "the oldest had to go");
    drop(stuck);
}

#[test]
fn a_reader_that_takes_too_long_is_cut_off() {
    let running = Running::start(200, |settings| {
        settings.limits.response = Duration::from_millis(200);
    });
    let mut stream = ask_and_not_read(running.endpoint.address());
    until(|| running.refused(EndpointRefused::TimedOut) > 0);
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let head = String::from_utf8_lossy(&all[..all.len().min(1000)]).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    assert!(
        all.len() < length.expect("a length") * ANSWERS,
        "cut off before the end"
    );
}

#[test]
fn too_many_connections_displace_the_idle() {
    let running = Running::start(0, |settings| settings.limits.connections = 8);
    // Answered, so it is known to have taken its seat.
    let greet = || {
        let mut stream = connect(running.endpoint.address()).expect("connect");
        let answer = ask(&mut stream, "GET", "/health/live", &[]).expect("an answer");
        assert_eq!(answer.status, 200);
        stream
    };
    let mut first = greet();
    let idle: Vec<_> = (0..7).map(|_| greet()).collect();
    // A sign of life makes the first the newest.
    assert_eq!(
        ask(&mut first, "GET", "/health/live", &[])
            .expect("an answer")
            .status,
        200
    );
    for _ in 0..7 {
        assert_eq!(running.get("/health/live", &[]).status, 200);
    }
    assert_eq!(
        ask(&mut first, "GET", "/health/live", &[])
            .expect("an answer")
            .status,
        200
    );
    drop(idle);
}

#[test]
fn many_scrapers_at_once_while_calls_are_counted() {
    let mut running = Running::start(50, |_| {});
    let address = running.endpoint.address();
    let ten_times = move || (0..10).map(|_| get(address, "/metrics", &[])).collect::<Vec<_>>();
    let scrapers: Vec<_> = (0..8).map(|_| std::thread::spawn(ten_times)).collect();
    let recorder = &mut running.recorder;
    let service = recorder.service(&ServiceLabels {
        service: "busy",
        ..ServiceLabels::default()
    });
    let mut cells = recorder.method(&service, Side::Server, Method::Path(b"/busy"));
    let mut counted = 0_u64;
    while scrapers.iter().any(|scraper| !scraper.is_finished()) {
        cells.started(recorder);
        let duration_nanoseconds = Some(5);
        cells.ended(
            recorder,
            End {
                status: Status::Ok,
                duration_nanoseconds,
                was_started: true,
            },
        );
        counted += 1;
    }
    for answer in scrapers
        .into_iter()
        .flat_map(|scraper| scraper.join().expect("a scraper"))
    {
        let text = answer.expect("an answer").text();
        let value = |part: &str| {
            let mut lines = text
                .lines()
                .filter(|line| line.starts_with("marty_grpc_request_duration"));
            lines
                .find(|line| line.contains("/busy") && line.contains(part))
                .map(value_of)
        };
        // A histogram is consistent in itself at any moment.
        assert_eq!(value("+Inf"), value("_count"));
    }
    let text = running.get("/metrics", &[]).text();
    let line = text
        .lines()
        .find(|line| line.starts_with("marty_grpc_requests_total{service=\"busy\""));
    assert_eq!(line.map(value_of), Some(counted));
}

fn value_of(line: &str) -> u64 {
    line.rsplit(' ')
        .next()
        .and_then(|value| value.parse().ok())
        .expect("a whole number")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever comes, the next one is served.
    #[test]
    fn any_bytes_at_all(bytes in request_like()) {
        static RUNNING: LazyLock<Running> = LazyLock::new(|| Running::start(1, |_| {}));
        let address = RUNNING.endpoint.address();
        let mut stream = connect(address).expect("connect");
        // The other side may have hung up in the middle of it.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        prop_assert!(read.is_ok() || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
        prop_assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{:?}", &answer[..answer.len().min(80)]);
        prop_assert_eq!(get(address, "/health/live", &[]).expect("an answer").status, 200);
    }
}

/// Pieces of requests in any order, and noise.
fn request_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "(GET|HEAD|POST|PRI|OPTIONS) (/metrics|/health|\\*|/|http://x/metrics)( HTTP/1\\.[01])?\r\n".prop_map(String::into_bytes),
        "(accept|accept-encoding|content-length|transfer-encoding|expect|connection|upgrade|host): ?(gzip|chunked|\\*/\\*;q=[0-9.]{1,4}|100-continue|-1|[0-9]{1,20}|h2c|close)\r\n".prop_map(String::into_bytes),
        Just(b"\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn stops_with_connections_open() {
    let running = Running::start(0, |_| {});
    let address = running.endpoint.address();
    let mut idle = connect(address).expect("connect");
    assert_eq!(
        ask(&mut idle, "GET", "/health/live", &[])
            .expect("an answer")
            .status,
        200
    );
    running.endpoint.stop(Instant::now() + Duration::from_mins(1));
    assert_eq!(idle.read(&mut [0]).expect("end of stream"), 0);
    assert!(connect(address).is_err(), "nobody listens any more");
}

/// promtool reads text 0.0.4 and complains about everything that Prometheus users would.
#[test]
fn promtool_has_no_complaint() {
    let Some(servers) = or_skip("promtool_has_no_complaint", Servers::prepare()) else {
        return;
    };
    let running = Running::start(3, |_| {});
    let text = running.get("/metrics", &[]).text();
    for family in catalogue::ALL {
        assert!(
            text.contains(&format!("# TYPE {} ", family.name)),
            "{} is not in the scrape",
            family.name
        );
    }
    let output = piped(
        servers.program("promtool"),
        &["check", "metrics"],
        text.as_bytes(),
    );
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success() && said.is_empty(),
        "promtool: {}",
        String::from_utf8_lossy(&said)
    );
}
