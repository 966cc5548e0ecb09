//! The result for programs.

use serde_json::{Value, json};

use super::capture::Damage;
use super::network::Packets;
use super::report::Report;

pub(super) fn render(report: &Report, packets: &Packets, damage: Option<&Damage>) -> String {
    let Packets {
        all,
        tcp,
        other,
        unknown_link,
        fragments,
        unreadable,
        cut,
        evicted,
        connections,
    } = *packets;
    let calls: Vec<Value> = report
        .rows()
        .into_iter()
        .map(|(method, row)| {
            let quantile = |hundredths| row.durations.quantile(hundredths).map(seconds);
            json!({
                "method": method,
                "status": row.status.name(),
                "count": row.count,
                "p50_seconds": quantile(50),
                "p95_seconds": quantile(95),
                "p99_seconds": quantile(99),
            })
        })
        .collect();
    let losses: serde_json::Map<String, Value> = report
        .losses_by_reason()
        .into_iter()
        .map(|(reason, count)| (reason.to_owned(), count.into()))
        .collect();
    let (not_grpc, unknown_fields) = report.asides();
    let value = json!({
        "calls": calls,
        "calls_open": report.open(),
        "requests_not_grpc": not_grpc,
        "unknown_header_fields": unknown_fields,
        "connections": connections,
        "connections_forgotten": evicted,
        "connections_of_other_protocols": report.hidden,
        "packets": {
            "all": all,
            "tcp": tcp,
            "other": other,
            "unknown_link": unknown_link,
            "fragments": fragments,
            "unreadable": unreadable,
            "cut": cut,
        },
        "lost": losses,
        "damage": damage.map(|damage| json!({ "offset": damage.offset, "cause": damage.cause.to_string() })),
    });
    format!("{value:#}\n")
}

fn seconds(nanoseconds: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds of calls have fewer digits than that"
    )]
    let nanoseconds = nanoseconds as f64;
    nanoseconds / 1e9
}
