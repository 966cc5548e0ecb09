//! The calls of a capture by tshark.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Key;

#[derive(Debug, Default)]
pub struct Call {
    pub path: String,
    /// The first `grpc-status`, if there is one and the stream was not reset before: of a deadline that both sides
    /// know, both may tell, and the call has ended with the first.
    pub status: Option<usize>,
    is_reset: bool,
}

/// Header blocks and `RST_STREAM`.
const FILTER: &str = "http2.header || http2.type == 3";
const RST_STREAM: usize = 3;

pub fn calls(file: &Path, port: u16) -> Result<BTreeMap<Key, Call>> {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args(["-d", &format!("tcp.port=={port},http2"), "-Y", FILTER])
        .args(["-T", "json", "--no-duplicate-keys", "-J", "tcp http2"])
        .output()
        .context("tshark")?;
    ensure!(
        output.status.success(),
        "tshark: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let packets: Vec<Value> = serde_json::from_slice(&output.stdout).context("the JSON of tshark")?;
    let mut calls = BTreeMap::new();
    for packet in &packets {
        let layers = &packet["_source"]["layers"];
        let ports = ["tcp.srcport", "tcp.dstport"].map(|name| number(&layers["tcp"][name]));
        let client = ports
            .into_iter()
            .flatten()
            .find(|&other| other != usize::from(port))
            .context("no client's port")?;
        for layer in each(&layers["http2"]) {
            for frame in each(&layer["http2.stream"]) {
                read(frame, u16::try_from(client)?, &mut calls);
            }
        }
    }
    // Trailers of streams whose request was not seen are no calls.
    calls.retain(|_, call: &mut Call| !call.path.is_empty());
    Ok(calls)
}

fn read(frame: &Value, client: u16, calls: &mut BTreeMap<Key, Call>) {
    let Some(stream) = number(&frame["http2.streamid"]).and_then(|stream| u32::try_from(stream).ok()) else {
        return;
    };
    if number(&frame["http2.type"]) == Some(RST_STREAM) {
        calls.entry((client, stream)).or_default().is_reset = true;
    }
    for header in each(&frame["http2.header"]) {
        let (Some(name), Some(value)) = (
            header["http2.header.name"].as_str(),
            header["http2.header.value"].as_str(),
        ) else {
            continue;
        };
        let call = || -> Key { (client, stream) };
        match name {
            ":path" => value.clone_into(&mut calls.entry(call()).or_default().path),
            "grpc-status" => {
                let call = calls.entry(call()).or_default();
                if !call.is_reset {
                    call.status = call.status.or(value.parse().ok());
                }
            }
            _ => {}
        }
    }
}

/// tshark writes what occurs once as itself, and what occurs more often as an array.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(values) => values.iter(),
        Value::Null => [].iter(),
        other => std::slice::from_ref(other).iter(),
    }
}

fn number(value: &Value) -> Option<usize> {
    value.as_str()?.parse().ok()
}
