//! An application that exports metrics of its own, under the names of the platform's documents: the queues, messages and
//! limits that only applications know, and what kube-state-metrics and cAdvisor would say in a cluster. Numbers that
//! stand still: for the questions that are about them, not for alerts.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use anyhow::Result;

const METRICS: &str = r#"# TYPE marty_dead_letter_queue_size gauge
marty_dead_letter_queue_size{service="csca-service"} 3
# TYPE marty_event_processing_queue_size gauge
marty_event_processing_queue_size{service="csca-service"} 12
# TYPE marty_database_connections_max gauge
marty_database_connections_max{service="csca-service"} 20
# TYPE normalization_service_messages_processed_total counter
normalization_service_messages_processed_total{topic="raw",status="success"} 100
# TYPE kube_node_status_condition gauge
kube_node_status_condition{node="n1",condition="Ready",status="true"} 1
# TYPE kube_pod_container_status_restarts_total counter
kube_pod_container_status_restarts_total{namespace="marty",pod="csca-0",container="app"} 0
"#;

/// Its thread ends with the test's process; gives the address.
pub fn start() -> Result<String> {
    serve(|_| METRICS.to_owned())
}

/// The same of a page that changes: `page` is given how often it was asked for before.
pub fn serve(page: impl Fn(u32) -> String + Send + 'static) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for (stream, asked) in listener.incoming().flatten().zip(0..) {
            let mut reader = BufReader::new(stream);
            let mut line = String::from("request");
            while !line.trim().is_empty() {
                line.clear();
                if reader.read_line(&mut line).is_err() {
                    break;
                }
            }
            let body = page(asked);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            // A scraper that went away is its own affair.
            let _ = reader.into_inner().write_all((head + &body).as_bytes());
        }
    });
    Ok(address)
}
