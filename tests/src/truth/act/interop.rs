//! The official interoperability cases. The official client asserts each case itself; how each call ends is known, or shown
//! by the packets.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::prerequisite;
use crate::process::{Place, Process};
use crate::truth::dump::{Dump, Flush};
use crate::truth::stage::{Crossed, Round, Stage};
use crate::truth::wire::{Call, End};
use crate::wait;
use crate::workload::{Language, interop};

const LIMIT: Duration = Duration::from_mins(1);

/// How often those are run whose end is a race: often enough to see both of its outcomes.
const RACES: usize = 12;

/// How the calls of a case end.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Always(&'static str),
    /// The client gives up while the server may already answer: the first end on the wire counts. What it is called if it
    /// is trailers, and if it is a reset.
    Race(&'static str, &'static str),
}

use Ending::{Always, Race};

/// Case, methods, end.
const CASES: &[(&str, &[&str], Ending)] = &[
    ("empty_unary", &["EmptyCall"], Always("OK")),
    ("large_unary", &["UnaryCall"], Always("OK")),
    ("client_streaming", &["StreamingInputCall"], Always("OK")),
    ("server_streaming", &["StreamingOutputCall"], Always("OK")),
    ("ping_pong", &["FullDuplexCall"], Always("OK")),
    ("empty_stream", &["FullDuplexCall"], Always("OK")),
    // The client cancels and then closes its stream of requests: if the end of that is sent first, the server answers an
    // empty stream, and its answer can be on the wire before the reset is.
    (
        "cancel_after_begin",
        &["StreamingInputCall"],
        Race("OK", "CANCELLED"),
    ),
    (
        "cancel_after_first_response",
        &["FullDuplexCall"],
        Always("CANCELLED"),
    ),
    // Its deadline is 1 ms: it may pass before anything is sent. Past it, a reset is what the trailers would be.
    (
        "timeout_on_sleeping_server",
        &["FullDuplexCall"],
        Race("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
    ),
    (
        "status_code_and_message",
        &["UnaryCall", "FullDuplexCall"],
        Always("UNKNOWN"),
    ),
    ("special_status_message", &["UnaryCall"], Always("UNKNOWN")),
    ("custom_metadata", &["UnaryCall", "FullDuplexCall"], Always("OK")),
    (
        "unimplemented_method",
        &["UnimplementedCall"],
        Always("UNIMPLEMENTED"),
    ),
    (
        "unimplemented_service",
        &["UnimplementedCall"],
        Always("UNIMPLEMENTED"),
    ),
];

/// How a case ends with this client. grpcio's blocking one ends itself after the last message of its ping-pong and does not wait for
/// the status: then its going away is a cancel, if the status was not faster.
fn ending(case: &str, client: Language, ending: Ending) -> Ending {
    if client == Language::Python && case == "ping_pong" {
        return Race("OK", "CANCELLED");
    }
    ending
}

/// The client, and the server that listens.
struct Official {
    client: Vec<OsString>,
    /// Both implementations.
    name: String,
    address: SocketAddr,
    place: Place,
    // Ends with this.
    _server: Process,
}

pub fn run(stage: &mut Stage<'_>) -> Result<Round> {
    let official = Official::start(stage)?;
    if let Some(file) = &stage.capture {
        let port = official.address.port();
        stage.dump = Some(Dump::start(file.clone(), port, &official.place, Flush::Prompt)?);
    }
    let mut round = Round::default();
    for (case, methods, usual) in CASES {
        let path = |method| format!("/grpc.testing.{}/{method}", service(case));
        match (ending(case, stage.client.language, *usual), methods, &stage.dump) {
            (Always(status), methods, _) => {
                official.run(case)?.map_err(|error| anyhow!(error))?;
                for method in *methods {
                    let end = (path(method), status.to_owned());
                    *round.server.entry(end).or_default() += 1;
                }
            }
            (Race(trailers, reset), [method], Some(dump)) => {
                let (calls, figures) = official.race(case, dump)?;
                round.figures.push(figures);
                add_race(&mut round, &path(method), (trailers, reset), &calls)?;
            }
            (Race(..), _, _) => {
                prerequisite::say(&format!(
                    "{case} is left out: without the packets its end is unknown"
                ));
            }
        }
    }
    round.client = round.server.clone();
    Ok(round)
}

fn add_race(
    round: &mut Round,
    path: &str,
    (trailers, reset): (&'static str, &'static str),
    calls: &[Call],
) -> Result<()> {
    let status = |end| match end {
        End::Trailers => trailers,
        End::Reset => reset,
        End::Closed => "UNAVAILABLE",
    };
    for call in calls {
        let (_, end) = call.ended.context("a call without an end in the packets")?;
        let key = (path.to_owned(), status(end).to_owned());
        *round.server.entry(key).or_default() += 1;
        round.crossed.extend(call.crossed.map(|other| Crossed {
            side: call.ended_by.other(),
            method: path.to_owned(),
            statuses: [end, other].map(status),
        }));
    }
    Ok(())
}

impl Official {
    fn start(stage: &Stage<'_>) -> Result<Self> {
        let (server, client) = (stage.server.language, stage.client.language);
        let mut command = interop::Official::prepare(server)?.server;
        let place = stage.watch.place();
        // The port is free again when the listener is dropped; nothing else here asks for ports of this range.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        command.push(format!("--port={}", address.port()).into());
        let server_process = Process::start(&command, &place)?;
        wait::until(LIMIT, || {
            TcpStream::connect(address)
                .map(drop)
                .map_err(|error| format!("{error}{}", server_process.report()))
        })?;
        Ok(Self {
            client: interop::Official::prepare(client)?.client,
            name: format!("{server} <- {client}"),
            address,
            place,
            _server: server_process,
        })
    }

    /// Runs the client, which asserts the case itself; gives what it says against it.
    fn run(&self, case: &str) -> Result<Result<(), String>> {
        let mut command = self.client.clone();
        command.extend([
            "--server_host=127.0.0.1".into(),
            format!("--server_port={}", self.address.port()).into(),
            format!("--test_case={case}").into(),
        ]);
        let mut client = Process::start(&command, &self.place)?;
        let ended = client.wait(LIMIT)?;
        let complaint = || format!("{case}: {ended}{}", client.report());
        Ok(if ended.success() { Ok(()) } else { Err(complaint()) })
    }

    /// Runs a case whose end is a race; gives its calls as the wire shows them. What the client says is of no interest: it
    /// fails its own case where the answer was faster.
    fn race(&self, case: &str, dump: &Dump) -> Result<(Vec<Call>, String)> {
        let before = recorded(dump, self.address)?.len();
        let mut complaints = 0;
        for _ in 0..RACES {
            complaints += usize::from(self.run(case)?.is_err());
        }
        let calls = recorded(dump, self.address)?.split_off(before);
        // There may be fewer: not every one has to come to the wire.
        ensure!(
            calls.len() <= RACES,
            "{} calls in {RACES} runs of {case}",
            calls.len()
        );
        let ended = |end| {
            calls
                .iter()
                .filter(move |call| call.ended.is_some_and(|(_, how)| how == end))
        };
        let figures = format!(
            "{}: {case}, run {RACES} times: {} calls on the wire, {} answered before they were reset, {} reset, {} closed with \
             their connection; of {} the ends of both sides crossed; {complaints} times the client says that its case has failed",
            self.name,
            calls.len(),
            ended(End::Trailers).count(),
            ended(End::Reset).count(),
            ended(End::Closed).count(),
            calls.iter().filter(|call| call.crossed.is_some()).count()
        );
        Ok((calls, figures))
    }
}

/// What the wire shows of all calls so far. A connection of our own is the mark in the packets up to which they are read:
/// from a port that no connection has had.
fn recorded(dump: &Dump, address: SocketAddr) -> Result<Vec<Call>> {
    let used = dump.wire(|_| true)?.closed;
    let mark = loop {
        let mark = TcpStream::connect(address)?.local_addr()?.port();
        if !used.contains(&mark) {
            break mark;
        }
    };
    Ok(dump.wire(|wire| wire.closed.contains(&mark))?.calls)
}

fn service(case: &str) -> &'static str {
    if case == "unimplemented_service" {
        "UnimplementedService"
    } else {
        "TestService"
    }
}
