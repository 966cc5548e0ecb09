//! The result for people.

use std::fmt::Write as _;

use super::network::Packets;
use super::report::Report;

/// Longer methods push their own line to the right, not all lines.
const MAX_COLUMN: usize = 60;

pub(super) fn render(report: &Report, packets: &Packets) -> String {
    let rows = report.rows();
    let width = rows
        .iter()
        .map(|(method, _)| method.len())
        .max()
        .unwrap_or(0)
        .clamp(6, MAX_COLUMN);
    let mut out = String::new();
    let mut line = |method: &str, status: &str, numbers: [&str; 4]| {
        let [count, p50, p95, p99] = numbers;
        let _ = writeln!(
            out,
            "{method:width$}  {status:19} {count:>9} {p50:>9} {p95:>9} {p99:>9}"
        );
    };
    line("METHOD", "STATUS", ["COUNT", "P50", "P95", "P99"]);
    for (method, row) in rows {
        let quantile = |hundredths| {
            row.durations
                .quantile(hundredths)
                .map_or_else(|| "-".to_owned(), duration)
        };
        let count = row.count.to_string();
        line(
            method,
            row.status.name(),
            [&count, &quantile(50), &quantile(95), &quantile(99)],
        );
    }
    out.push('\n');
    out.push_str(&summary(report, packets));
    out
}

/// What there was, and everything that a reader of the table must know to trust it.
fn summary(report: &Report, packets: &Packets) -> String {
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
    let mut out = format!("{all} packets, {tcp} of TCP in {connections} connections\n");
    let (not_grpc, unknown_fields) = report.asides();
    let mut aside = |count: u64, what: &str| {
        if count > 0 {
            let _ = writeln!(out, "{count} {what}");
        }
    };
    aside(report.open(), "calls still open at the end of the capture");
    aside(not_grpc, "HTTP/2 requests that are not gRPC");
    aside(other, "packets that are not TCP");
    aside(unknown_link, "packets of an unknown link layer, not read");
    aside(fragments, "IP fragments, not put together");
    aside(unreadable, "packets that cannot be read");
    aside(cut, "segments cut by the capture (snapshot length)");
    aside(evicted, "connections forgotten for want of room");
    aside(unknown_fields, "header fields older than the capture");
    let mut hidden: Vec<_> = report.hidden.iter().collect();
    hidden.sort();
    for (word, count) in hidden {
        aside(*count, &format!("connections of {word}"));
    }
    for (reason, count) in report.losses_by_reason() {
        aside(count, &format!("lost: {reason}"));
    }
    out
}

/// Three digits and a unit.
fn duration(nanoseconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for three digits")]
    let value = nanoseconds as f64;
    let (value, unit) = match nanoseconds {
        0..1_000_000 => (value / 1e3, "us"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations() {
        let check = |nanoseconds, expected: &str| assert_eq!(duration(nanoseconds), expected);
        check(0, "0.00us");
        check(1_234, "1.23us");
        check(12_345, "12.3us");
        check(999_600, "1000us");
        check(1_500_000, "1.50ms");
        check(123_456_789, "123ms");
        check(61_000_000_000, "61.0s");
    }
}
