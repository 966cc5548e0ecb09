//! The page `observer/docs/truth.md`: the last table of a whole run, and what it was made with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::table::Table;
use crate::scrape::calls::Side;

const HEAD: &str = "\
# Truth

What real gRPC programs counted themselves, against what the observer counted at their sockets. Written by
`cargo xtask truth`, which runs every situation with every implementation.

Cells are `made / right / unobserved / wrong`. *Made*: calls that the applications made. *Right*: the observer has them
with the method and status that the wire shows. *Unobserved*: the observer itself says that it could not see them, or
not whole. *Wrong*: all else. A cell that fails is marked `!`. Columns are servers; each was called by clients of several
implementations in turn. Half an hour of mixed traffic under one observer is in [soak.md](soak.md), other kernels are in
[kernels.md](kernels.md).
";

#[derive(Debug)]
pub struct About {
    pub date: String,
    pub kernel: String,
    pub seed: u64,
    pub took: std::time::Duration,
    /// How many situations a whole run has.
    pub situations: usize,
    /// What each implementation calls itself.
    pub versions: BTreeMap<String, String>,
    /// Implementations that could not be run, and why.
    pub missing: Vec<(String, String)>,
}

pub fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../observer/docs/truth.md")
}

pub fn today() -> String {
    let date = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%d"])
        .output();
    date.map_or_else(
        |_| "an unknown day".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// The running kernel's release.
pub fn kernel() -> std::io::Result<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(release.trim().to_owned())
}

pub fn page(table: &Table, about: &About) -> String {
    let mut text = HEAD.to_owned();
    let _ = writeln!(
        text,
        "\nRun on {}, kernel {}, seed {}, in {} minutes.",
        about.date,
        about.kernel,
        about.seed,
        about.took.as_secs().div_ceil(60)
    );
    let versions: Vec<String> = about
        .versions
        .iter()
        .map(|(name, version)| format!("{name}: {version}"))
        .collect();
    let _ = writeln!(text, "Implementations: {}.", versions.join("; "));
    if table.rows.len() < about.situations {
        let _ = writeln!(
            text,
            "Stopped after {} of {} situations.",
            table.rows.len(),
            about.situations
        );
    }
    for (name, reason) in &about.missing {
        let _ = writeln!(text, "Not run: {name}, because {reason}.");
    }
    let _ = writeln!(
        text,
        "\n## At the servers' sockets\n\n{}",
        table.markdown(Side::Server)
    );
    let _ = writeln!(
        text,
        "## At the clients' sockets\n\n{}",
        table.markdown(Side::Client)
    );
    let _ = writeln!(
        text,
        "## Where programs call an end otherwise\n\nClient and server may disagree about a call that is given up; the \
         contract's rule decides by what the wire shows. Calls that the observer calls the same as the server's program · \
         as the client's program, of all:\n\n{}",
        table.agreements()
    );
    text += "## Situations\n\n| name | what happens |\n|---|---|\n";
    for row in &table.rows {
        let _ = writeln!(text, "| {} | {} |", row.situation.name, row.situation.about);
    }
    let figures = table
        .rows
        .iter()
        .flat_map(|row| &row.cells)
        .flat_map(|cell| &cell.figures);
    let figures: Vec<String> = figures.map(|figures| format!("- {figures}")).collect();
    if !figures.is_empty() {
        let _ = writeln!(
            text,
            "\n## Figures\n\nOf `latency`, server <- client: mean of the observer's histogram and of the server's own clock, number of \
             the bucket of each quantile, observer's and server's, and the mean between the packets of request and end. Of \
             `interop`: cases whose end is a race, decided by the first end on the wire.\n\n{}",
            figures.join("\n")
        );
    }
    let failures = table.rows.iter().flat_map(|row| &row.cells);
    let failures: Vec<String> = failures
        .flat_map(|cell| &cell.failures)
        .map(|told| indented(told))
        .collect();
    if !failures.is_empty() {
        let _ = writeln!(text, "\n## Failures\n\n{}", failures.join("\n\n"));
    }
    let skipped: Vec<String> = table
        .rows
        .iter()
        .flat_map(|row| skips(row, &table.columns))
        .collect();
    if !skipped.is_empty() {
        let _ = writeln!(text, "\n## Skipped\n\n{}", skipped.join("\n"));
    }
    text
}

/// As Markdown shows it line by line.
fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
    lines.join("\n")
}

fn skips(row: &super::table::Row, columns: &[String]) -> Vec<String> {
    let of = row.cells.iter().zip(columns);
    of.filter_map(|(cell, column)| {
        let reason = cell.skipped.as_ref()?;
        Some(format!("- {}, {column}: {reason}", row.situation.name))
    })
    .collect()
}
