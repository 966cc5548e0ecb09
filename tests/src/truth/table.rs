//! The table of all cells, as text and as Markdown.

use std::fmt::Write as _;

use super::cell::{Agreement, Cell};
use super::situation::Situation;
use super::verdict::Verdict;
use crate::scrape::calls::Side;

#[derive(Debug)]
pub struct Row {
    pub situation: &'static Situation,
    /// One for each column.
    pub cells: Vec<Cell>,
}

#[derive(Debug, Default)]
pub struct Table {
    /// Names of the servers' implementations.
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

impl Table {
    pub fn has_failed(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.cells).any(Cell::has_failed)
    }

    /// Everything together, at both sockets.
    pub fn sum(&self) -> Verdict {
        let mut sum = Verdict::default();
        for cell in self.rows.iter().flat_map(|row| &row.cells) {
            sum.add(&cell.server);
            sum.add(&cell.client);
        }
        sum
    }

    /// Aligned columns, for a terminal.
    pub fn text(&self, side: Side) -> String {
        let mut lines = vec![[&["situation".to_owned()], self.columns.as_slice()].concat()];
        for row in &self.rows {
            let cells = row.cells.iter().map(|cell| figures(cell, side));
            lines.push(
                std::iter::once(row.situation.name.to_owned())
                    .chain(cells)
                    .collect(),
            );
        }
        let widths: Vec<usize> = (0..=self.columns.len())
            .map(|column| {
                lines
                    .iter()
                    .filter_map(|line| line.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for line in lines {
            for (cell, width) in line.iter().zip(&widths) {
                let _ = write!(text, "{cell:<width$}  ");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }

    pub fn markdown(&self, side: Side) -> String {
        let mut text = format!("| situation | {} |\n|---|", self.columns.join(" | "));
        text += &"---|".repeat(self.columns.len());
        text.push('\n');
        for row in &self.rows {
            let cells: Vec<String> = row.cells.iter().map(|cell| figures(cell, side)).collect();
            let _ = writeln!(text, "| {} | {} |", row.situation.name, cells.join(" | "));
        }
        text
    }

    /// How often the observer's word is that of the server and that of the client, where they may differ.
    pub fn agreements(&self) -> String {
        let mut text = format!("| situation | {} |\n|---|", self.columns.join(" | "));
        text += &"---|".repeat(self.columns.len());
        text.push('\n');
        for row in self.rows.iter().filter(|row| row.cells.iter().any(differs)) {
            let cells: Vec<String> = row
                .cells
                .iter()
                .map(|cell| format!("{} · {}", part(cell.with_server), part(cell.with_client)))
                .collect();
            let _ = writeln!(text, "| {} | {} |", row.situation.name, cells.join(" | "));
        }
        text
    }
}

fn differs(cell: &Cell) -> bool {
    [cell.with_server, cell.with_client]
        .iter()
        .any(|view| view.same < view.of)
}

fn part(agreement: Agreement) -> String {
    if agreement.of == 0 {
        return "–".to_owned();
    }
    format!("{}/{}", agreement.same, agreement.of)
}

/// `made / right / unobserved / wrong`.
fn figures(cell: &Cell, side: Side) -> String {
    if cell.is_left_out {
        return "–".to_owned();
    }
    if cell.skipped.is_some() {
        return "SKIPPED".to_owned();
    }
    let verdict = match side {
        Side::Server => &cell.server,
        Side::Client => &cell.client,
    };
    if verdict.made == 0 && cell.has_failed() {
        return "FAILED".to_owned();
    }
    let Verdict {
        made,
        right,
        unobserved,
        wrong,
        failed,
        notes: _,
    } = verdict;
    let mark = if *failed { " !" } else { "" };
    format!("{made} / {right} / {unobserved} / {wrong}{mark}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::situation::ALL;

    #[test]
    fn cells_of_both_forms() {
        let mut right = Cell::default();
        right.server.made = 5;
        right.server.right = 5;
        let table = Table {
            columns: vec!["grpc-go".into(), "tonic".into()],
            rows: vec![Row {
                situation: &ALL[0],
                cells: vec![right, Cell::skipped("no compiler")],
            }],
        };
        assert_eq!(
            table.text(Side::Server),
            "situation   grpc-go        tonic\none-stream  5 / 5 / 0 / 0  SKIPPED\n"
        );
        assert!(
            table
                .markdown(Side::Server)
                .ends_with("| one-stream | 5 / 5 / 0 / 0 | SKIPPED |\n")
        );
        assert!(!table.has_failed());
    }
}
