//! Findings, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::{Finding, Grade};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub findings: Vec<Finding>,
}

impl Report {
    /// The worst of all.
    #[must_use]
    pub fn grade(&self) -> Grade {
        self.findings
            .iter()
            .map(|finding| finding.grade)
            .max()
            .unwrap_or(Grade::Fine)
    }

    /// One object: `grade`, and the findings in order.
    #[must_use]
    pub fn json(&self) -> String {
        let Self { findings } = self;
        let value = serde_json::json!({ "grade": self.grade(), "findings": findings });
        format!("{value:#}\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .findings
            .iter()
            .map(|finding| finding.check.len())
            .max()
            .unwrap_or(0);
        for Finding {
            check,
            grade,
            found,
            advice,
        } in &self.findings
        {
            let mark = match grade {
                Grade::Fine => "fine",
                Grade::Degraded => "degraded",
                Grade::Fatal => "FATAL",
            };
            writeln!(formatter, "{mark:<9} {check:<width$}  {found}")?;
            if !advice.is_empty() {
                writeln!(formatter, "{:<9} {:<width$}  -> {advice}", "", "")?;
            }
        }
        let end = match self.grade() {
            Grade::Fine => "Everything can be seen.",
            Grade::Degraded => "The observer can run; not everything can be seen, or it costs more.",
            Grade::Fatal => "The observer cannot run here.",
        };
        writeln!(formatter, "{end}")
    }
}
