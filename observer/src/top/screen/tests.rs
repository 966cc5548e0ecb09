//! Whole screens, as text.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::top::model::{Key, Loss, Span};
use crate::top::table::Sort;

fn row(service: &str, method: &str, rate: f64) -> Row {
    Row {
        key: Key {
            service: service.to_owned(),
            peer: String::new(),
            method: method.to_owned(),
        },
        rate: Some(rate),
        errors: Some(12.5),
        quantiles: [Some(0.0015), Some(0.025), Some(2.5)],
        in_flight: Some(3.0),
        bytes: Some(2048.0),
    }
}

fn report(rows: Vec<Row>) -> Report {
    Report {
        all: row("", "", 1500.0),
        rows,
        losses: vec![Loss {
            reason: "ring_full".to_owned(),
            total: 12.0,
            new: 3.0,
        }],
        span: Span::Interval(1.0),
        hidden: 4.0,
        uptime: Some(90.0),
    }
}

fn lines(view: &View, shown: Shown<'_>, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("terminal");
    terminal
        .draw(|frame| draw(view, shown, frame.area(), frame.buffer_mut()))
        .expect("draw");
    let buffer = terminal.backend().buffer();
    let line = |y| {
        (0..width)
            .map(|x| buffer.cell((x, y)).map_or("", |cell| cell.symbol()))
            .collect::<String>()
    };
    (0..height).map(|y| line(y).trim_end().to_owned()).collect()
}

const URL: &str = "http://127.0.0.1:9464/metrics";

fn shown(report: &Report) -> Shown<'_> {
    Shown {
        url: URL,
        report: Some(report),
        failure: None,
    }
}

fn check(view: &View, shown: Shown<'_>, (width, height): (u16, u16), expected: &[(usize, &str)]) {
    let lines = lines(view, shown, width, height);
    for (index, expected) in expected {
        assert_eq!(lines[*index], *expected, "line {index} of\n{}", lines.join("\n"));
    }
}

#[test]
fn eighty_columns() {
    let report = report(vec![
        row("csca", "/csca.CscaService/GetCertificate", 1234.0),
        row("payments-gateway", "/p.P/Pay", 1.5),
    ]);
    check(
        &View::default(),
        shown(&report),
        (80, 24),
        &[
            (
                0,
                "observer top: server side, by rate, up 90.0s  http://127.0.0.1:9464/metrics",
            ),
            (1, "1.50k calls/s, 12.5% errors, 3 in flight; rows 1-2 of 2"),
            (2, "lost: ring_full 12 (+3); hidden: 4 TLS connections"),
            (
                3,
                "SERVICE      METHOD             CALL/S ERRORS    P50    P95    P99 FLIGHT BYTE/S",
            ),
            (
                4,
                "csca         …ce/GetCertificate  1.23k  12.5% 1.50ms 25.0ms  2.50s      3  2.00K",
            ),
            (
                5,
                "payments-ga… /p.P/Pay             1.50  12.5% 1.50ms 25.0ms  2.50s      3  2.00K",
            ),
            (6, ""),
            (23, KEYS),
        ],
    );
}

#[test]
fn two_hundred_columns() {
    let method = "/csca.CscaService/GetCertificate";
    let report = report(vec![row("csca", method, 1234.0)]);
    let names = format!("{:60} {method:90}", "csca");
    let expected = format!("{names}  1.23k  12.5% 1.50ms 25.0ms  2.50s      3  2.00K");
    let lines = lines(&View::default(), shown(&report), 200, 50);
    assert_eq!(lines.len(), 50);
    assert_eq!(lines[4], expected);
    assert_eq!(lines[49], KEYS);
}

#[test]
fn many_rows_scroll_to_the_last() {
    let report = report(
        (0..100)
            .map(|index| row("s", &format!("/m/{index}"), 1.0))
            .collect(),
    );
    let mut view = View {
        sort: Sort::Name,
        ..View::default()
    };
    let of = |view: &View, line: usize| lines(view, shown(&report), 80, 24)[line].clone();
    assert!(of(&view, 4).contains("/m/0 ") && of(&view, 21).contains("/m/17 "));
    view.scrolled = 5;
    assert!(of(&view, 4).contains("/m/5 ") && of(&view, 1).ends_with("rows 6-23 of 100"));
    view.scrolled = usize::MAX;
    assert!(of(&view, 4).contains("/m/82 ") && of(&view, 21).contains("/m/99 "));
}

#[test]
fn services_have_the_room_of_methods() {
    let report = report(vec![row("a-service-with-a-long-name-1", "", 1.0)]);
    let view = View {
        grouping: Grouping::Services,
        ..View::default()
    };
    let line = &lines(&view, shown(&report), 80, 24)[4];
    assert!(line.starts_with("a-service-with-a-long-name-1 "), "{line}");
}

#[test]
fn nobody_listens() {
    let shown = Shown {
        url: URL,
        report: None,
        failure: Some("connection refused"),
    };
    let expected = format!("{URL}: connection refused; trying again");
    check(
        &View::default(),
        shown,
        (80, 24),
        &[(4, ""), (22, &expected), (23, KEYS)],
    );
}

#[test]
fn before_the_first_reading_and_before_the_first_call() {
    let reading = Shown {
        url: URL,
        report: None,
        failure: None,
    };
    check(&View::default(), reading, (80, 24), &[(2, "Reading …")]);
    let report = Report {
        losses: Vec::new(),
        hidden: 0.0,
        ..report(Vec::new())
    };
    check(
        &View::default(),
        shown(&report),
        (80, 24),
        &[(2, "lost: nothing"), (4, "No call was seen yet.")],
    );
}

#[test]
fn help_fits() {
    let view = View {
        help: true,
        ..View::default()
    };
    let shown = Shown {
        url: URL,
        report: None,
        failure: None,
    };
    let expected: Vec<_> = HELP
        .iter()
        .copied()
        .enumerate()
        .map(|(index, text)| (index + 2, text))
        .collect();
    check(&view, shown, (80, 24), &expected);
}

#[test]
fn any_size() {
    let report = report(
        (0..9)
            .map(|index| row("日本語サービス", &format!("/m/{index}"), 1.0))
            .collect(),
    );
    for width in 0..90 {
        for height in [0, 1, 2, 5, 6, 7, 30] {
            lines(&View::default(), shown(&report), width, height);
        }
    }
}
