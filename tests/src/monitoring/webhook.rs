//! Who Alertmanager tells: a server on loopback that keeps what it is sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use serde_json::Value;

/// Notifications are a few KiB.
const MAX_BODY: usize = 1024 * 1024;

#[derive(Debug, Clone)]
pub struct Told {
    pub receiver: String,
    pub status: String,
    pub labels: Value,
    pub annotations: Value,
}

/// Its thread ends with the test's process.
#[derive(Debug)]
pub struct Webhook {
    address: String,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Webhook {
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let kept = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Ok(message) = receive(stream) {
                    kept.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend(alerts(&message));
                }
            }
        });
        Ok(Self { address, told })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// All alerts of this name so far.
    pub fn told(&self, alert: &str) -> Vec<Told> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter()
            .filter(|told| told.labels["alertname"] == alert)
            .cloned()
            .collect()
    }

    /// Names and receivers of everything so far, for messages.
    pub fn summary(&self) -> String {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = told.iter().map(|told| {
            format!(
                "\n  {} to {} ({})",
                told.labels["alertname"], told.receiver, told.status
            )
        });
        lines.collect()
    }
}

fn receive(stream: TcpStream) -> Result<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>()?.min(MAX_BODY);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut stream = reader.into_inner();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    Ok(serde_json::from_slice(&body)?)
}

fn alerts(message: &Value) -> Vec<Told> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let alerts = message["alerts"].as_array();
    alerts
        .into_iter()
        .flatten()
        .map(|alert| Told {
            receiver: text(&message["receiver"]),
            status: text(&alert["status"]),
            labels: alert["labels"].clone(),
            annotations: alert["annotations"].clone(),
        })
        .collect()
}
