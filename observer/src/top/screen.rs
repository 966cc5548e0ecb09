//! The screen: what is known and what was chosen, drawn into a buffer of any size.
//!
//! Boundary: pure; reads no clock, no key and no terminal.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::figure;
use super::model::{Grouping, Report, Row, Side};
use super::table::{self, Keep, cut};
use super::view::View;

/// Of a column of figures, with the space before it.
const FIGURE: u16 = 7;
/// Above the rows: title, summary, losses, headings.
const ABOVE: u16 = 4;
/// Below the rows: what went wrong, keys.
const BELOW: u16 = 2;
const KEYS: &str = "q quit  s sort  \u{2191}\u{2193} scroll  p pause  c client/server  m services  ? help";
const HELP: [&str; 17] = [
    "q, Esc       quit",
    "s            sort by the next column",
    "up, down     scroll by a line; also PgUp, PgDn, Home, End, k, j",
    "p, space     pause and go on",
    "c            calls as servers took them, or as clients made them",
    "m            a line for each method, or for each service",
    "?            this page, and back",
    "",
    "CALL/S       calls that ended, per second",
    "ERRORS       of the calls that ended, those that ended other than OK",
    "P50 P95 P99  durations, from the buckets of the last interval; of a method",
    "             that was not called in it, since the observer started",
    "FLIGHT       calls begun and not ended (server side only)",
    "BYTE/S       message bytes both ways (server side only)",
    "lost         what was seen on the wire and did not come through; (+n) since the",
    "             last reading. While it is 0, the counts are complete.",
    "hidden       connections inside of TLS: calls in them are not seen",
];

/// Everything there is to show.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub url: &'a str,
    /// In the order of the view; `None` before the first reading.
    pub report: Option<&'a Report>,
    /// Why the last reading failed.
    pub failure: Option<&'a str>,
}

pub fn draw(view: &View, shown: Shown<'_>, area: Rect, buffer: &mut Buffer) {
    let mut page = Page { area, buffer };
    page.title(view, shown);
    if let Some(failure) = shown.failure {
        let text = format!("{}: {failure}; trying again", shown.url);
        page.line(
            area.height.saturating_sub(BELOW),
            &text,
            Style::new().fg(Color::Red),
        );
    }
    page.line(
        area.height.saturating_sub(1),
        KEYS,
        Style::new().add_modifier(Modifier::DIM),
    );
    if view.help {
        for (line, text) in (2..area.height.saturating_sub(BELOW)).zip(HELP) {
            page.line(line, text, Style::new());
        }
        return;
    }
    match shown.report {
        Some(report) => page.report(view, report),
        None if shown.failure.is_none() => page.line(2, "Reading \u{2026}", Style::new()),
        None => {}
    }
}

struct Page<'a> {
    area: Rect,
    buffer: &'a mut Buffer,
}

impl Page<'_> {
    /// Text at the beginning of a line of the area; what does not fit is cut.
    fn line(&mut self, line: u16, text: &str, style: Style) {
        self.put(0, line, self.area.width, text, style, Keep::Start);
    }

    fn put(&mut self, column: u16, line: u16, columns: u16, text: &str, style: Style, keep: Keep) {
        let columns = columns.min(self.area.width.saturating_sub(column));
        if line < self.area.height && columns > 0 {
            let (x, y) = (self.area.x + column, self.area.y + line);
            let text = cut(text, usize::from(columns), keep);
            self.buffer.set_stringn(x, y, text, usize::from(columns), style);
        }
    }

    fn title(&mut self, view: &View, shown: Shown<'_>) {
        let side = match view.side {
            Side::Server => "server side",
            Side::Client => "client side",
        };
        let uptime = shown.report.and_then(|report| report.uptime);
        let uptime = uptime
            .map(|seconds| format!(", up {}", figure::seconds(seconds)))
            .unwrap_or_default();
        let paused = if view.paused { ", PAUSED" } else { "" };
        let title = format!(
            "observer top: {side}, by {}{paused}{uptime}  {}",
            view.sort.name(),
            shown.url
        );
        let style = Style::new().add_modifier(Modifier::REVERSED);
        self.line(0, &" ".repeat(usize::from(self.area.width)), style);
        self.line(0, &title, style);
    }

    fn report(&mut self, view: &View, report: &Report) {
        let room = usize::from(self.area.height.saturating_sub(ABOVE + BELOW));
        let last = report.rows.len().saturating_sub(room);
        let first = view.scrolled.min(last);
        let rows = report.rows.iter().skip(first).take(room);
        let (from, to) = (first + rows.len().min(1), first + rows.len());
        let summary = format!(
            "{}; rows {from}-{to} of {}",
            table::summary(report),
            report.rows.len()
        );
        self.line(1, &summary, Style::new());
        let style = match &report.losses[..] {
            [] => Style::new().fg(Color::Green),
            losses if losses.iter().any(|loss| loss.new > 0.0) => {
                Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
            }
            _ => Style::new().fg(Color::Yellow),
        };
        self.line(2, &table::losses(report), style);
        let columns = Columns::of(view, self.area.width);
        self.headings(view, columns);
        for (line, row) in (ABOVE..).zip(rows) {
            self.row(line, row, columns);
        }
        if report.rows.is_empty() {
            self.line(ABOVE, "No call was seen yet.", Style::new());
        }
    }

    fn headings(&mut self, view: &View, columns: Columns) {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let service = if view.side == Side::Client {
            "CALLER > CALLED"
        } else {
            "SERVICE"
        };
        let of = |sort| {
            if sort == view.sort {
                bold.add_modifier(Modifier::UNDERLINED)
            } else {
                bold
            }
        };
        let headings = table::FIGURES.map(|(heading, sort)| (heading.to_owned(), of(sort)));
        self.cells(
            ABOVE - 1,
            columns,
            [(service, Keep::Start), ("METHOD", Keep::Start)],
            of(table::Sort::Name),
            headings,
        );
    }

    fn row(&mut self, line: u16, row: &Row, columns: Columns) {
        let style = match row.errors {
            Some(errors) if errors > 0.0 => Style::new().fg(Color::Red),
            _ => Style::new(),
        };
        let figures = table::figures(row);
        let mut index = 0;
        let figures = figures.map(|figure| {
            index += 1;
            (figure, if index == 2 { style } else { Style::new() })
        });
        let service = table::service(row);
        let names = [
            (service.as_str(), Keep::Start),
            (row.key.method.as_str(), Keep::End),
        ];
        self.cells(line, columns, names, Style::new(), figures);
    }

    fn cells(
        &mut self,
        line: u16,
        columns: Columns,
        [service, method]: [(&str, Keep); 2],
        style: Style,
        figures: [(String, Style); 7],
    ) {
        self.put(0, line, columns.service, service.0, style, service.1);
        self.put(
            columns.service + 1,
            line,
            columns.method,
            method.0,
            style,
            method.1,
        );
        let mut column = columns.figures;
        for (figure, style) in figures {
            self.put(column, line, FIGURE, &format!("{figure:>7}"), style, Keep::Start);
            column += FIGURE;
        }
    }
}

/// Where things stand on a line.
#[derive(Clone, Copy)]
struct Columns {
    service: u16,
    method: u16,
    figures: u16,
}

impl Columns {
    fn of(view: &View, width: u16) -> Self {
        let figures = width.saturating_sub(FIGURE * 7);
        let service = match view.grouping {
            Grouping::Services => figures,
            // Methods are the longer names, with the longer part in common.
            Grouping::Methods => figures * 2 / 5,
        };
        let method = figures.saturating_sub(service + 1);
        Self {
            service,
            method,
            figures,
        }
    }
}

#[cfg(test)]
mod tests;
