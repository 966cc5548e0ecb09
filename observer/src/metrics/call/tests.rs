//! Counting, ceilings and expiry of series.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::metrics::{Format, Settings, render};

const SECOND: u64 = 1_000_000_000;
const A: ServiceLabels<'_> = ServiceLabels {
    service: "a",
    namespace: "",
    pod: "",
};

fn ended(status: Status, milliseconds: u64) -> End {
    End {
        status,
        duration_nanoseconds: Some(milliseconds * 1_000_000),
        was_started: true,
    }
}

fn at(seconds: u64) -> Now {
    Now {
        monotonic: seconds * SECOND,
        unix: (1_700_000_000 + seconds) * SECOND,
    }
}

fn scrape(recorder: &Recorder) -> String {
    String::from_utf8(render::render(recorder.registry(), Format::Text)).expect("text")
}

/// The lines of families whose name begins so, without the observer's own.
fn lines(recorder: &Recorder, prefix: &str) -> Vec<String> {
    scrape(recorder)
        .lines()
        .filter(|line| line.starts_with(prefix))
        .map(str::to_owned)
        .collect()
}

fn small(max_methods: usize, max_series: usize) -> Recorder {
    let settings = Settings {
        max_methods,
        max_series,
        series_idle: Duration::from_mins(1),
        ..Settings::default()
    };
    crate::metrics::new(settings).0
}

fn call(recorder: &mut Recorder, service: &ServiceCells, path: &str) -> MethodCells {
    let mut cells = recorder.method(service, Side::Server, Method::Path(path.as_bytes()));
    cells.started(recorder);
    cells.ended(recorder, ended(Status::Ok, 1));
    cells
}

#[test]
fn one_of_each() {
    let mut recorder = small(10, 1000);
    recorder.advance(at(5));
    let labels = ServiceLabels {
        service: "csca",
        namespace: "prod",
        pod: "csca-1",
    };
    let mut service = recorder.service(&labels);
    service.connection_opened(&mut recorder);
    let mut cells = recorder.method(&service, Side::Server, Method::Path(b"/c.C/Get"));
    for status in [Status::Ok, Status::NotFound] {
        cells.started(&mut recorder);
        cells.bytes(&mut recorder, 10, 20);
        cells.ended(&mut recorder, ended(status, 3));
    }
    cells.started(&mut recorder);
    let method = "service=\"csca\",method=\"/c.C/Get\"";
    let pod = "namespace=\"prod\",pod=\"csca-1\"";
    let text = scrape(&recorder);
    for line in [
        format!("marty_grpc_requests_total{{{method},status=\"OK\",{pod}}} 1"),
        format!("marty_grpc_requests_total{{{method},status=\"NOT_FOUND\",{pod}}} 1"),
        format!("marty_grpc_errors_total{{{method},error_type=\"NOT_FOUND\",{pod}}} 1"),
        format!("marty_grpc_request_duration_seconds_bucket{{{method},{pod},le=\"0.0025\"}} 0"),
        format!("marty_grpc_request_duration_seconds_bucket{{{method},{pod},le=\"0.005\"}} 2"),
        format!("marty_grpc_request_duration_seconds_bucket{{{method},{pod},le=\"+Inf\"}} 2"),
        format!("marty_grpc_request_duration_seconds_sum{{{method},{pod}}} 0.006"),
        format!("marty_grpc_request_duration_seconds_count{{{method},{pod}}} 2"),
        format!("marty_grpc_requests_started_total{{{method},{pod}}} 3"),
        format!("marty_grpc_requests_in_flight{{{method},{pod}}} 1"),
        format!("marty_grpc_request_bytes_total{{{method},{pod}}} 20"),
        format!("marty_grpc_response_bytes_total{{{method},{pod}}} 40"),
        format!("marty_grpc_active_connections{{service=\"csca\",{pod}}} 1"),
        format!("marty_last_successful_operation_timestamp{{service=\"csca\",{pod}}} 1700000005"),
    ] {
        assert!(text.lines().any(|have| have == line), "no line {line} in\n{text}");
    }
    assert!(!text.contains("error_type=\"OK\""), "{text}");
    let exported = text
        .lines()
        .filter(|l| l.starts_with("marty_grpc") || l.starts_with("marty_last"));
    assert!(
        text.contains(&format!("marty_observer_series_held {}", exported.count())),
        "{text}"
    );
}

#[test]
fn client_side() {
    let mut recorder = small(10, 1000);
    let service = recorder.service(&A);
    let mut cells = recorder.method(&service, Side::Client { peer: "b" }, Method::Unknown);
    cells.started(&mut recorder);
    cells.ended(&mut recorder, ended(Status::Unavailable, 1));
    let method = "service=\"a\",peer=\"b\",method=\"_unknown\"";
    assert_eq!(
        lines(&recorder, "marty_grpc_client_requests"),
        [format!(
            "marty_grpc_client_requests_total{{{method},status=\"UNAVAILABLE\"}} 1"
        )]
    );
    assert_eq!(
        lines(&recorder, "marty_grpc_client_errors"),
        [format!(
            "marty_grpc_client_errors_total{{{method},error_type=\"UNAVAILABLE\"}} 1"
        )]
    );
    assert_eq!(
        lines(&recorder, "marty_grpc_client_request_duration_seconds_bucket").len(),
        14
    );
    assert_eq!(lines(&recorder, "marty_grpc_requests"), [""; 0]);
    assert_eq!(lines(&recorder, "marty_last"), [""; 0]);
}

#[test]
fn joined_late_does_not_end_another_call() {
    let mut recorder = small(10, 1000);
    let service = recorder.service(&A);
    let mut cells = recorder.method(&service, Side::Server, Method::Unknown);
    cells.started(&mut recorder);
    let late = End {
        status: Status::Ok,
        duration_nanoseconds: None,
        was_started: false,
    };
    cells.ended(&mut recorder, late);
    let method = "service=\"a\",method=\"_unknown\"";
    assert_eq!(
        lines(&recorder, "marty_grpc_requests_in_flight"),
        [format!("marty_grpc_requests_in_flight{{{method}}} 1")]
    );
    assert_eq!(
        lines(&recorder, "marty_grpc_request_duration_seconds_count"),
        [format!("marty_grpc_request_duration_seconds_count{{{method}}} 0")]
    );
}

#[test]
fn two_connections_share_a_method() {
    let mut recorder = small(10, 1000);
    for _ in 0..2 {
        let service = recorder.service(&A);
        call(&mut recorder, &service, "/m");
    }
    assert_eq!(
        lines(&recorder, "marty_grpc_requests_total"),
        ["marty_grpc_requests_total{service=\"a\",method=\"/m\",status=\"OK\"} 2"]
    );
}

#[test]
fn labels_switched_off_make_pods_one() {
    let settings = Settings {
        pod: false,
        ..Settings::default()
    };
    let mut recorder = crate::metrics::new(settings).0;
    for pod in ["p", "q"] {
        let service = recorder.service(&ServiceLabels {
            service: "a",
            namespace: "n",
            pod,
        });
        call(&mut recorder, &service, "/m");
    }
    assert_eq!(
        lines(&recorder, "marty_grpc_requests_total"),
        ["marty_grpc_requests_total{service=\"a\",method=\"/m\",status=\"OK\",namespace=\"n\"} 2"]
    );
}

#[test]
fn scanner_sends_random_paths() {
    let mut recorder = small(3, 10_000);
    let service = recorder.service(&A);
    let legitimate = recorder.method(&service, Side::Server, Method::Path(b"/a.A/Real"));
    for index in 0..1000 {
        call(&mut recorder, &service, &format!("/{index}"));
    }
    legitimate.clone().started(&mut recorder);
    let counts = lines(&recorder, "marty_grpc_requests_total");
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert!(
        counts
            .iter()
            .any(|line| line.contains("_other") && line.ends_with(" 998")),
        "{counts:?}"
    );
    assert_eq!(recorder.registry().own().refused.of(Refused::Method).get(), 998);
    assert!(
        lines(&recorder, "marty_grpc_requests_started")
            .iter()
            .any(|line| line.contains("Real"))
    );
}

#[test]
fn too_many_series_in_all() {
    let mut recorder = small(1000, 100);
    for index in 0..100 {
        let name = format!("s{index}");
        let service = recorder.service(&ServiceLabels { service: &name, ..A });
        call(&mut recorder, &service, "/m");
    }
    let counts = lines(&recorder, "marty_grpc_requests_total");
    let total: usize = counts
        .iter()
        .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
        .sum();
    assert_eq!(total, 100, "no call is lost: {counts:?}");
    assert!(
        counts
            .iter()
            .any(|line| line.contains("{service=\"_other\",method=\"_other\"")),
        "{counts:?}"
    );
    let refused = &recorder.registry().own().refused;
    assert!(refused.of(Refused::Service).get() > 0 && refused.of(Refused::Series).get() > 0);
}

#[test]
fn path_too_long_for_a_label() {
    let mut recorder = small(10, 1000);
    let service = recorder.service(&A);
    call(&mut recorder, &service, &"x".repeat(label::MAX_LABEL_VALUE + 1));
    assert_eq!(
        lines(&recorder, "marty_grpc_requests_total"),
        ["marty_grpc_requests_total{service=\"a\",method=\"_other\",status=\"OK\"} 1"]
    );
    assert_eq!(
        recorder.registry().own().refused.of(Refused::MethodTooLong).get(),
        1
    );
}

#[test]
fn idle_series_go_and_come_back_from_zero() {
    let mut recorder = small(10, 1000);
    recorder.advance(at(10));
    let mut service = recorder.service(&A);
    let mut first = call(&mut recorder, &service, "/m");
    let mut second = first.clone();
    recorder.advance(at(69));
    assert_eq!(lines(&recorder, "marty_grpc_requests_total").len(), 1);
    recorder.advance(at(75));
    assert_eq!(lines(&recorder, "marty_grpc"), [""; 0]);
    assert_eq!(recorder.registry().own().series_held.get(), 0);
    // Both handles come to the same new cells; so does the service's.
    for cells in [&mut first, &mut second] {
        cells.started(&mut recorder);
        cells.ended(&mut recorder, ended(Status::Ok, 1));
    }
    service.connection_opened(&mut recorder);
    assert_eq!(
        lines(&recorder, "marty_grpc_requests_total"),
        ["marty_grpc_requests_total{service=\"a\",method=\"/m\",status=\"OK\"} 2"]
    );
    assert_eq!(
        lines(&recorder, "marty_grpc_active"),
        ["marty_grpc_active_connections{service=\"a\"} 1"]
    );
}

#[test]
fn calls_in_flight_and_open_connections_keep_their_series() {
    let mut recorder = small(10, 1000);
    recorder.advance(at(10));
    let mut service = recorder.service(&A);
    service.connection_opened(&mut recorder);
    let mut cells = recorder.method(&service, Side::Server, Method::Path(b"/stream"));
    cells.started(&mut recorder);
    call(&mut recorder, &service, "/done");
    recorder.advance(at(10_000));
    assert_eq!(lines(&recorder, "marty_grpc_requests_in_flight").len(), 1);
    cells.ended(&mut recorder, ended(Status::Ok, 1));
    recorder.advance(at(20_000));
    assert_eq!(
        lines(&recorder, "marty_grpc"),
        ["marty_grpc_active_connections{service=\"a\"} 1"]
    );
    service.connection_closed(&mut recorder);
    recorder.advance(at(30_000));
    assert_eq!(lines(&recorder, "marty_grpc"), [""; 0]);
}

#[derive(Clone, Debug)]
enum Step {
    Call {
        service: u8,
        path: u8,
    },
    /// Through a handle that was kept.
    Again {
        handle: u8,
    },
    Wait {
        seconds: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, 0..12_u8).prop_map(|(service, path)| Step::Call { service, path }),
        4 => any::<u8>().prop_map(|handle| Step::Again { handle }),
        1 => (1..200_u16).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

proptest! {
    /// Between two sweeps nothing is lost: what was exported before a series went, and what is exported now, is
    /// what was counted; and what is said to be held is what is exported.
    #[test]
    fn no_count_is_lost(steps in proptest::collection::vec(step(), 1..120)) {
        let mut recorder = small(4, 200);
        let mut handles: Vec<MethodCells> = Vec::new();
        let (mut time, mut counted, mut gone) = (0_u64, 0_u64, 0_u64);
        for step in steps {
            match step {
                Step::Call { service, path } => {
                    let name = format!("s{service}");
                    let service = recorder.service(&ServiceLabels { service: &name, ..A });
                    handles.push(call(&mut recorder, &service, &format!("/{path}")));
                    counted += 1;
                }
                Step::Again { handle } => {
                    let length = handles.len().max(1);
                    let Some(cells) = handles.get_mut(usize::from(handle) % length) else { continue };
                    cells.started(&mut recorder);
                    cells.ended(&mut recorder, ended(Status::Ok, 1));
                    counted += 1;
                }
                Step::Wait { seconds } => {
                    let before = exported(&recorder);
                    time += u64::from(seconds);
                    recorder.advance(at(time));
                    gone += before - exported(&recorder);
                }
            }
            prop_assert_eq!(gone + exported(&recorder), counted);
            let held: usize = recorder.registry().published().methods.iter()
                .map(|series| series.held(&recorder.registry().settings().buckets)).sum::<usize>()
                + recorder.registry().published().services.len() * ServiceSeries::COST;
            prop_assert_eq!(recorder.registry().own().series_held.get(), held as u64);
        }
    }
}

fn exported(recorder: &Recorder) -> u64 {
    recorder
        .registry()
        .published()
        .methods
        .iter()
        .map(|series| series.ended[0].get())
        .sum()
}
