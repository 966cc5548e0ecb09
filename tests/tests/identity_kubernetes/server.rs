//! An API server of our own that serves one node's pods and Services over plain HTTP, and misbehaves on demand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Connections end without an answer.
    Away,
    TooManyRequests,
    /// What is watched from is too old.
    Gone,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    pods: Vec<Value>,
    /// Watches that are open; dropped when the mood changes.
    watches: Vec<TcpStream>,
    requests: u64,
}

#[derive(Debug)]
pub struct ApiServer {
    state: Arc<Mutex<State>>,
    folder: tempfile::TempDir,
}

impl ApiServer {
    pub fn start(mood: Mood, pods: Vec<Value>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self {
            state: Arc::new(Mutex::new(State {
                mood,
                pods,
                watches: Vec::new(),
                requests: 0,
            })),
            folder: tempfile::tempdir()?,
        };
        let address = format!("http://{}", listener.local_addr()?);
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": address}}],
            "users": [{"name": "test", "user": {}}]});
        std::fs::write(server.kubeconfig(), config.to_string())?;
        let state = Arc::clone(&server.state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // One that goes away in the middle of an answer is what this is for.
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Ok(server)
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// From now on, for open watches too.
    pub fn set(&self, mood: Mood) {
        let mut state = lock(&self.state);
        state.mood = mood;
        for watch in state.watches.drain(..) {
            // It may have ended by itself.
            let _ = watch.shutdown(std::net::Shutdown::Both);
        }
    }

    pub fn requests(&self) -> u64 {
        lock(&self.state).requests
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            anyhow::ensure!(reader.read_line(&mut head)? > 0, "the end");
        }
        let target = head.split(' ').nth(1).context("a target")?;
        let mut state = lock(state);
        state.requests += 1;
        let pods = target.contains("/pods");
        match state.mood {
            Mood::Away => return Ok(()),
            Mood::TooManyRequests => fail(&mut stream, "429 Too Many Requests", 429)?,
            Mood::Gone => fail(&mut stream, "410 Gone", 410)?,
            Mood::Well if target.contains("watch=true") => {
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes())?;
                // Nothing happens until the mood changes.
                state.watches.push(stream);
                return Ok(());
            }
            Mood::Well => {
                let kind = if pods { "PodList" } else { "ServiceList" };
                let items = if pods { state.pods.clone() } else { Vec::new() };
                let list = json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "10"},
                    "items": items});
                answer(&mut stream, "200 OK", &list)?;
            }
        }
    }
}

fn answer(stream: &mut TcpStream, status: &str, body: &Value) -> Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Ok(stream.write_all(format!("{head}{body}").as_bytes())?)
}

fn fail(stream: &mut TcpStream, status: &str, code: u16) -> Result<()> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "message": status, "reason": status});
    answer(stream, status, &body)
}
