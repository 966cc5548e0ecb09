//! The official interoperability cases. The official client asserts each case itself, and every case is known to the call.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process::Process;
use crate::truth::counts::Ends;
use crate::truth::stage::{Round, Stage};
use crate::wait;
use crate::workload::interop::Interop;

const LIMIT: Duration = Duration::from_mins(1);

/// Case, methods and how each call of them ends. `timeout_on_sleeping_server` is left out: its deadline of 1 ms can be met
/// before anything is sent.
const CASES: &[(&str, &[&str], &str)] = &[
    ("empty_unary", &["EmptyCall"], "OK"),
    ("large_unary", &["UnaryCall"], "OK"),
    ("client_streaming", &["StreamingInputCall"], "OK"),
    ("server_streaming", &["StreamingOutputCall"], "OK"),
    ("ping_pong", &["FullDuplexCall"], "OK"),
    ("empty_stream", &["FullDuplexCall"], "OK"),
    ("cancel_after_begin", &["StreamingInputCall"], "CANCELLED"),
    ("cancel_after_first_response", &["FullDuplexCall"], "CANCELLED"),
    (
        "status_code_and_message",
        &["UnaryCall", "FullDuplexCall"],
        "UNKNOWN",
    ),
    ("special_status_message", &["UnaryCall"], "UNKNOWN"),
    ("custom_metadata", &["UnaryCall", "FullDuplexCall"], "OK"),
    ("unimplemented_method", &["UnimplementedCall"], "UNIMPLEMENTED"),
    ("unimplemented_service", &["UnimplementedCall"], "UNIMPLEMENTED"),
];

pub fn run(stage: &mut Stage<'_>) -> Result<Round> {
    let programs = Interop::prepare()?;
    // The port is free again when the listener is dropped; nothing else here asks for ports of this range.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let port = address.port();
    let place = stage.watch.place();
    let command: [OsString; 2] = [programs.server.into(), format!("-port={port}").into()];
    let server = Process::start(&command, &place)?;
    wait::until(LIMIT, || {
        TcpStream::connect(address)
            .map(drop)
            .map_err(|error| format!("{error}{}", server.report()))
    })?;
    let mut truth = Ends::new();
    for (case, methods, status) in CASES {
        let command: [OsString; 4] = [
            programs.client.clone().into(),
            "-server_host=127.0.0.1".into(),
            format!("-server_port={port}").into(),
            format!("-test_case={case}").into(),
        ];
        let mut client = Process::start(&command, &place)?;
        let ended = client.wait(LIMIT)?;
        ensure!(ended.success(), "{case}: {ended}{}", client.report());
        for method in *methods {
            let service = if *case == "unimplemented_service" {
                "UnimplementedService"
            } else {
                "TestService"
            };
            let path = format!("/grpc.testing.{service}/{method}");
            *truth.entry((path, (*status).to_owned())).or_default() += 1;
        }
    }
    drop(server);
    Ok(Round {
        server: truth.clone(),
        client: truth,
        ..Round::default()
    })
}
