//! The fake API server: lists, watches with chunked JSON lines, and moods. HTTP by hand, so that it can break off
//! wherever it likes.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Connections are closed without an answer.
    Away,
    TooManyRequests,
    Forbidden,
    /// What is watched from is too old.
    Gone,
    /// 200, and no JSON.
    Garbage,
    /// No answer until it is well.
    Slow,
}

#[derive(Debug)]
struct State {
    pods: Vec<Value>,
    services: Vec<Value>,
    mood: Mood,
    forbidden: Option<String>,
    requests: Vec<String>,
    attempts: u64,
    /// Events by resource that no watch has delivered yet: those sent while nobody watches wait for the next.
    events: Vec<(String, String)>,
    /// Watches begun before this many disconnections are over.
    disconnections: u64,
}

#[derive(Clone, Debug)]
pub struct Server {
    port: u16,
    state: Arc<Mutex<State>>,
    /// Something above has changed.
    changed: watch::Sender<()>,
}

impl Server {
    pub async fn start(pods: Vec<Value>, services: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = State {
            pods,
            services,
            mood: Mood::Well,
            forbidden: None,
            requests: Vec::new(),
            attempts: 0,
            events: Vec::new(),
            disconnections: 0,
        };
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::new(Mutex::new(state)),
            changed: watch::channel(()).0,
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        server
    }

    pub fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(format!("http://127.0.0.1:{}", self.port).parse().unwrap());
        // The watcher's own pauses are what is tested.
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    pub fn set(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
        self.changed.send_replace(());
    }

    async fn become_well(&self) {
        let mut changed = self.changed.subscribe();
        while self.state.lock().unwrap().mood != Mood::Well {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    pub fn forbid(&self, resource: &str) {
        self.state.lock().unwrap().forbidden = Some(resource.to_owned());
    }

    pub fn set_pods(&self, pods: Vec<Value>) {
        self.state.lock().unwrap().pods = pods;
    }

    /// To the watch of the resource, or else to the next.
    pub fn send(&self, resource: &str, kind: &str, object: &Value) {
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        self.state
            .lock()
            .unwrap()
            .events
            .push((resource.to_owned(), line));
        self.changed.send_replace(());
    }

    /// Once what was sent is delivered.
    pub fn disconnect(&self) {
        self.state.lock().unwrap().disconnections += 1;
        self.changed.send_replace(());
    }

    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    pub fn attempts(&self) -> u64 {
        self.state.lock().unwrap().attempts
    }

    pub fn watches(&self, resource: &str) -> usize {
        self.count(|request| request.contains(resource) && request.contains("watch=true"))
    }

    pub fn lists(&self, resource: &str) -> usize {
        self.count(|request| request.contains(resource) && !request.contains("watch=true"))
    }

    fn count(&self, so: impl Fn(&str) -> bool) -> usize {
        self.requests().iter().filter(|request| so(request)).count()
    }

    async fn serve(self, mut stream: TcpStream) {
        while let Some(target) = request(&mut stream).await {
            let resource = if target.contains("/services") {
                "services"
            } else {
                "pods"
            };
            let mood = {
                let mut state = self.state.lock().unwrap();
                state.attempts += 1;
                state.requests.push(target.clone());
                let forbidden = state.forbidden.as_deref() == Some(resource);
                if forbidden { Mood::Forbidden } else { state.mood }
            };
            let written = match mood {
                Mood::Away => return,
                Mood::Garbage => answer(&mut stream, "200 OK", "{\"kind\":").await,
                Mood::TooManyRequests => failure(&mut stream, "429 Too Many Requests", 429).await,
                Mood::Gone => failure(&mut stream, "410 Gone", 410).await,
                Mood::Slow => {
                    self.become_well().await;
                    answer(&mut stream, "200 OK", &self.list(resource)).await
                }
                Mood::Forbidden => failure(&mut stream, "403 Forbidden", 403).await,
                Mood::Well if target.contains("watch=true") => return self.watch(stream, resource).await,
                Mood::Well => answer(&mut stream, "200 OK", &self.list(resource)).await,
            };
            if written.is_err() {
                return;
            }
        }
    }

    fn list(&self, resource: &str) -> String {
        let state = self.state.lock().unwrap();
        let (items, kind) = if resource == "pods" {
            (&state.pods, "PodList")
        } else {
            (&state.services, "ServiceList")
        };
        json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "10"}, "items": items})
            .to_string()
    }

    async fn watch(self, mut stream: TcpStream, resource: &str) {
        let mut changed = self.changed.subscribe();
        let begun = self.state.lock().unwrap().disconnections;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        loop {
            let (lines, over) = {
                let mut state = self.state.lock().unwrap();
                let mine = |event: &(String, String)| event.0 == resource;
                let (lines, left) = std::mem::take(&mut state.events)
                    .into_iter()
                    .partition::<Vec<_>, _>(mine);
                state.events = left;
                (lines, state.disconnections > begun)
            };
            for (_, line) in lines {
                if chunk(&mut stream, &line).await.is_err() {
                    return;
                }
            }
            // In the middle of the answer: no last chunk.
            if over || changed.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    Some(head.split(' ').nth(1)?.to_owned())
}

async fn answer(stream: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

async fn failure(stream: &mut TcpStream, status: &str, code: u16) -> std::io::Result<()> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "message": status, "reason": status});
    answer(stream, status, &body.to_string()).await
}

async fn chunk(stream: &mut TcpStream, line: &str) -> std::io::Result<()> {
    stream
        .write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes())
        .await
}
