//! Columns: what they are called, what is written in them, how rows are ordered by them, and the table as plain text.

use std::cmp::Ordering;
use std::fmt::Write as _;

use ratatui::text::Span as Text;

use super::figure;
use super::model::{Grouping, Report, Row, Span};

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Rate,
    Errors,
    P50,
    P95,
    P99,
    InFlight,
    Bytes,
    Name,
}

impl Sort {
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Rate => Self::Errors,
            Self::Errors => Self::P50,
            Self::P50 => Self::P95,
            Self::P95 => Self::P99,
            Self::P99 => Self::InFlight,
            Self::InFlight => Self::Bytes,
            Self::Bytes => Self::Name,
            Self::Name => Self::Rate,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Errors => "errors",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::InFlight => "in flight",
            Self::Bytes => "bytes",
            Self::Name => "name",
        }
    }
}

/// Columns of numbers.
pub const FIGURES: [(&str, Sort); 7] = [
    ("CALL/S", Sort::Rate),
    ("ERRORS", Sort::Errors),
    ("P50", Sort::P50),
    ("P95", Sort::P95),
    ("P99", Sort::P99),
    ("FLIGHT", Sort::InFlight),
    ("BYTE/S", Sort::Bytes),
];

fn value(row: &Row, sort: Sort) -> Option<f64> {
    let [p50, p95, p99] = row.quantiles;
    match sort {
        Sort::Rate => row.rate,
        Sort::Errors => row.errors,
        Sort::P50 => p50,
        Sort::P95 => p95,
        Sort::P99 => p99,
        Sort::InFlight => row.in_flight,
        Sort::Bytes => row.bytes,
        Sort::Name => None,
    }
}

pub fn figures(row: &Row) -> [String; 7] {
    FIGURES.map(|(_, sort)| {
        value(row, sort).map_or_else(
            || figure::NONE.to_owned(),
            |value| match sort {
                Sort::Errors => figure::percent(value),
                Sort::P50 | Sort::P95 | Sort::P99 => figure::seconds(value),
                Sort::Bytes => figure::bytes(value),
                Sort::Rate | Sort::InFlight | Sort::Name => figure::count(value),
            },
        )
    })
}

/// Largest first; names in their own order, also among equals, so that rows do not jump.
pub fn order(rows: &mut [Row], sort: Sort) {
    rows.sort_by(|one, two| {
        let by_value = match (value(one, sort), value(two, sort)) {
            (Some(one), Some(two)) => two.total_cmp(&one),
            (one, two) => two.is_some().cmp(&one.is_some()),
        };
        let by_value = if sort == Sort::Name {
            Ordering::Equal
        } else {
            by_value
        };
        by_value.then_with(|| one.key.cmp(&two.key))
    });
}

/// The caller with whom it calls, at the client's side.
pub fn service(row: &Row) -> String {
    let key = &row.key;
    if key.peer.is_empty() {
        key.service.clone()
    } else {
        format!("{} > {}", key.service, key.peer)
    }
}

/// One line about everything together.
pub fn summary(report: &Report) -> String {
    let Row {
        rate,
        errors,
        in_flight,
        ..
    } = &report.all;
    let mut line = format!(
        "{} calls/s",
        rate.map_or_else(|| figure::NONE.to_owned(), figure::count)
    );
    if let Some(errors) = errors {
        let _ = write!(line, ", {} errors", figure::percent(*errors));
    }
    if let Some(in_flight) = in_flight {
        let _ = write!(line, ", {} in flight", figure::count(*in_flight));
    }
    line.push_str(match report.span {
        Span::Interval(_) => "",
        Span::SinceStart(_) => " (average since the observer started)",
        Span::Unknown => " (no rates: when the observer started is unknown)",
    });
    line
}

/// One line about what the table does not tell.
pub fn losses(report: &Report) -> String {
    let mut line = String::from("lost: ");
    if report.losses.is_empty() {
        line.push_str("nothing");
    }
    for (index, loss) in report.losses.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(line, "{comma}{} {}", loss.reason, figure::count(loss.total));
        if loss.new > 0.0 {
            let _ = write!(line, " (+{})", figure::count(loss.new));
        }
    }
    if report.hidden > 0.0 {
        let _ = write!(line, "; hidden: {} TLS connections", figure::count(report.hidden));
    }
    line
}

/// For scripts: nothing is cut, every line has the same number of words of figures at its end.
pub fn plain(report: &Report, grouping: Grouping) -> String {
    let mut names: Vec<[String; 2]> = vec![["SERVICE".to_owned(), "METHOD".to_owned()]];
    names.extend(
        report
            .rows
            .iter()
            .map(|row| [service(row), row.key.method.clone()]),
    );
    let widest = |column: usize| {
        names
            .iter()
            .filter_map(|pair| pair.get(column))
            .map(|name| width(name))
            .max()
    };
    let widths = [widest(0).unwrap_or(0), widest(1).unwrap_or(0)];
    let headings = FIGURES.map(|(heading, _)| heading.to_owned());
    let figures = std::iter::once(headings).chain(report.rows.iter().map(figures));
    let mut out = format!("{}\n{}\n\n", summary(report), losses(report));
    for ([service, method], figures) in names.iter().zip(figures) {
        out.push_str(&padded(service, widths[0]));
        if grouping == Grouping::Methods {
            out.push_str("  ");
            out.push_str(&padded(method, widths[1]));
        }
        for figure in figures {
            let _ = write!(out, " {figure:>6}");
        }
        out.push('\n');
    }
    out
}

/// In columns of the terminal.
pub fn width(text: &str) -> usize {
    Text::raw(text).width()
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Which end of a name tells more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Start,
    End,
}

/// The name in so many columns, with a sign where it was cut.
pub fn cut(text: &str, columns: usize, keep: Keep) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let mut used = 0;
    let mut fits = |char: &char| {
        used += width(char.encode_utf8(&mut [0; 4]));
        used <= room
    };
    let sign = if columns == 0 { "" } else { "\u{2026}" };
    match keep {
        Keep::Start => {
            let kept: String = text.chars().take_while(&mut fits).collect();
            format!("{kept}{sign}")
        }
        Keep::End => {
            let mut kept: Vec<char> = text.chars().rev().take_while(&mut fits).collect();
            kept.reverse();
            format!("{sign}{}", kept.into_iter().collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::model::Key;

    fn row(service: &str, rate: Option<f64>) -> Row {
        Row {
            key: Key {
                service: service.to_owned(),
                ..Key::default()
            },
            rate,
            errors: None,
            quantiles: [None; 3],
            in_flight: None,
            bytes: None,
        }
    }

    #[test]
    fn unknown_comes_last_and_equals_keep_their_order() {
        let mut rows = [
            row("d", None),
            row("c", Some(1.0)),
            row("b", Some(1.0)),
            row("a", Some(0.0)),
        ];
        let mut check = |sort, expected: &str| {
            order(&mut rows, sort);
            let order: String = rows.iter().map(|row| row.key.service.as_str()).collect();
            assert_eq!(order, expected);
        };
        check(Sort::Rate, "bcad");
        check(Sort::Name, "abcd");
        check(Sort::Bytes, "abcd");
    }

    #[test]
    fn every_order_is_reached() {
        let mut sort = Sort::Rate;
        for _ in 0..8 {
            sort = sort.next();
        }
        assert_eq!(sort, Sort::Rate);
        assert!(FIGURES.iter().all(|(heading, _)| heading.len() <= 6));
    }

    #[test]
    fn cut_names() {
        for (text, columns, keep, expected) in [
            ("abc", 3, Keep::Start, "abc"),
            ("abcd", 3, Keep::Start, "ab…"),
            ("abcd", 3, Keep::End, "…cd"),
            ("日本語", 5, Keep::Start, "日本…"),
            ("日本語", 4, Keep::End, "…語"),
            ("abc", 1, Keep::End, "…"),
            ("abc", 0, Keep::Start, ""),
        ] {
            assert_eq!(cut(text, columns, keep), expected);
        }
    }
}
