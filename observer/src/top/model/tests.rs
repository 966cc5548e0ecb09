//! Reports out of pairs of texts, as the endpoint would write them.

use std::time::{Duration, Instant, SystemTime};

use super::super::scrape::text;
use super::*;

const BEFORE: &str = "\
marty_grpc_requests_total{service=\"csca\",method=\"/a.B/C\",status=\"OK\",namespace=\"prod\",pod=\"1\"} 100
marty_grpc_request_duration_seconds_bucket{service=\"csca\",method=\"/a.B/C\",namespace=\"prod\",pod=\"1\",le=\"0.1\"} 100
marty_grpc_request_duration_seconds_bucket{service=\"csca\",method=\"/a.B/C\",namespace=\"prod\",pod=\"1\",le=\"0.2\"} 100
marty_grpc_request_duration_seconds_bucket{service=\"csca\",method=\"/a.B/C\",namespace=\"prod\",pod=\"1\",le=\"+Inf\"} 100
marty_observer_lost_total{reason=\"ring_full\"} 1
marty_observer_lost_total{reason=\"record_gap\"} 0
marty_observer_start_time_seconds 1000
";
const AFTER: &str = "\
marty_grpc_requests_total{service=\"csca\",method=\"/a.B/C\",status=\"OK\",namespace=\"prod\",pod=\"1\"} 115
marty_grpc_requests_total{service=\"csca\",method=\"/a.B/C\",status=\"INTERNAL\",namespace=\"prod\",pod=\"2\"} 5
marty_grpc_errors_total{service=\"csca\",method=\"/a.B/C\",error_type=\"INTERNAL\",namespace=\"prod\",pod=\"2\"} 5
marty_grpc_request_duration_seconds_bucket{service=\"csca\",method=\"/a.B/C\",namespace=\"prod\",pod=\"1\",le=\"0.1\"} 100
marty_grpc_request_duration_seconds_bucket{service=\"csca\",method=\"/a.B/C\",namespace=\"prod\",pod=\"1\",le=\"0.2\"} 120
marty_grpc_request_duration_seconds_bucket{service=\"csca\",method=\"/a.B/C\",namespace=\"prod\",pod=\"1\",le=\"+Inf\"} 120
marty_grpc_requests_in_flight{service=\"csca\",method=\"/a.B/C\",namespace=\"prod\",pod=\"1\"} 3
marty_grpc_request_bytes_total{service=\"csca\",method=\"/a.B/C\",namespace=\"prod\",pod=\"1\"} 100
marty_grpc_response_bytes_total{service=\"csca\",method=\"/a.B/C\",namespace=\"prod\",pod=\"1\"} 300
marty_grpc_client_requests_total{service=\"gw\",peer=\"csca\",method=\"/a.B/C\",status=\"OK\"} 7
marty_observer_lost_total{reason=\"ring_full\"} 4
marty_observer_series_refused_total{reason=\"method\"} 2
marty_observer_connections{protocol=\"tls\"} 9
marty_observer_connections{protocol=\"grpc\"} 1
marty_observer_start_time_seconds 1000
";

fn reading(text: &str, at: Instant, unix: u64) -> Reading {
    let mut reading = Reading::empty(at, SystemTime::UNIX_EPOCH + Duration::from_secs(unix));
    text::parse(text, |name, labels, value| reading.see(name, labels, value)).expect("text");
    reading
}

fn pair() -> (Reading, Reading) {
    let at = Instant::now();
    let later = at + Duration::from_secs(2);
    (reading(BEFORE, at, 1098), reading(AFTER, later, 1100))
}

#[test]
fn differences_of_two_readings() {
    let (before, after) = pair();
    let report = report(Some(&before), &after, Side::Server, Grouping::Methods);
    let key = Key {
        service: "prod/csca".to_owned(),
        peer: String::new(),
        method: "/a.B/C".to_owned(),
    };
    let [p50, p95, p99] = [0.15, 0.195, 0.199];
    let row = report.rows.first().expect("a row");
    assert_eq!(report.rows.len(), 1);
    assert_eq!(row.key, key);
    assert_eq!(
        (row.rate, row.errors, row.in_flight, row.bytes),
        (Some(10.0), Some(25.0), Some(3.0), Some(200.0))
    );
    for (found, expected) in row.quantiles.iter().zip([p50, p95, p99]) {
        assert!(
            found.is_some_and(|found| (found - expected).abs() < 1e-9),
            "{found:?} is not {expected}"
        );
    }
    assert_eq!(
        (report.span, report.hidden, report.uptime),
        (Span::Interval(2.0), 9.0, Some(100.0))
    );
    assert_eq!(report.all.rate, Some(10.0));
    let losses: Vec<_> = report
        .losses
        .iter()
        .map(|loss| (loss.reason.as_str(), loss.total, loss.new))
        .collect();
    assert_eq!(losses, [("ring_full", 4.0, 3.0), ("refused method", 2.0, 2.0)]);
}

#[test]
fn client_side_has_peers_and_no_bytes() {
    let (before, after) = pair();
    let report = report(Some(&before), &after, Side::Client, Grouping::Methods);
    let row = report.rows.first().expect("a row");
    assert_eq!((row.key.service.as_str(), row.key.peer.as_str()), ("gw", "csca"));
    assert_eq!(
        (row.rate, row.in_flight, row.bytes, row.quantiles),
        (Some(3.5), None, None, [None; 3])
    );
}

#[test]
fn one_reading_is_the_average_since_the_start() {
    let (_, after) = pair();
    let report = report(None, &after, Side::Server, Grouping::Services);
    assert_eq!(report.span, Span::SinceStart(100.0));
    let row = report.rows.first().expect("a row");
    assert_eq!((row.rate, row.key.method.as_str()), (Some(1.2), ""));
    assert!(report.losses.iter().all(|loss| loss.new == 0.0));
}

#[test]
fn quiet_interval_shows_the_quantiles_since_the_start() {
    let (_, after) = pair();
    let mut later = after.clone();
    later.at += Duration::from_secs(1);
    let report = report(Some(&after), &later, Side::Server, Grouping::Methods);
    let row = report.rows.first().expect("a row");
    assert_eq!((row.rate, row.errors), (Some(0.0), None));
    assert!(row.quantiles.iter().all(Option::is_some));
}

#[test]
fn restarted_observer() {
    let (before, mut after) = pair();
    after.started = Some(1099.0);
    let report = report(Some(&before), &after, Side::Server, Grouping::Methods);
    assert_eq!(report.span, Span::SinceStart(1.0));
}

#[test]
fn series_that_came_back() {
    // Differences of small whole numbers are exact.
    assert!((grown(5.0, 7.0) - 2.0).abs() < f64::EPSILON);
    assert!((grown(5.0, 2.0) - 2.0).abs() < f64::EPSILON);
}

/// A pod goes, and after an hour its series; the other's calls are counted as they were.
#[test]
fn one_of_two_pods_expires() {
    let series = |pod: &str, calls: u32, bytes: u32| {
        let labels = format!(r#"service="csca",method="/a.B/C",pod="{pod}""#);
        format!(
            "marty_grpc_requests_total{{{labels},status=\"OK\"}} {calls}\n\
             marty_grpc_request_bytes_total{{{labels}}} {bytes}\n\
             marty_grpc_request_duration_seconds_bucket{{{labels},le=\"0.1\"}} {calls}\n\
             marty_grpc_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {calls}\n"
        )
    };
    let start = "marty_observer_start_time_seconds 1000\n";
    let at = Instant::now();
    let before = format!(
        "{}{}{start}",
        series("1", 50_000, 900),
        series("2", 70_000, 5_000)
    );
    let after = format!("{}{start}", series("2", 70_010, 5_100));
    for grouping in [Grouping::Methods, Grouping::Services] {
        let report = report(
            Some(&reading(&before, at, 9000)),
            &reading(&after, at + Duration::from_secs(2), 9002),
            Side::Server,
            grouping,
        );
        let row = report.rows.first().expect("a row");
        assert_eq!((row.rate, row.bytes), (Some(5.0), Some(50.0)), "{grouping:?}");
        assert_eq!((report.all.rate, report.all.bytes), (Some(5.0), Some(50.0)));
    }
}

#[test]
fn hostile_names_cannot_move_the_cursor() {
    let text = "marty_grpc_requests_total{service=\"a\u{1b}[2J\",method=\"\\n\u{202e}x\"} 1\n";
    let report = report(
        None,
        &reading(text, Instant::now(), 0),
        Side::Server,
        Grouping::Methods,
    );
    let row = report.rows.first().expect("a row");
    assert_eq!(
        (row.key.service.as_str(), row.key.method.as_str()),
        ("a\u{fffd}[2J", "\u{fffd}\u{fffd}x")
    );
}
