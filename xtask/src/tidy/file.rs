//! How a source file begins and how long it may be.

use super::{Finding, Severity, Source};

/// Nine of ten files stay under this.
const MANY_LINES: usize = 400;
/// None goes beyond this.
const MAX_LINES: usize = 600;

pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !source.is_rust() {
        return findings;
    }
    if !source.text.starts_with("//!") {
        let message = "the first line says the file's job and its boundary: `//! …`";
        findings.push(Finding::error(source, Some(1), message));
    }
    let lines = source.text.lines().count();
    if lines > MANY_LINES {
        let severity = if lines > MAX_LINES {
            Severity::Error
        } else {
            Severity::Warning
        };
        let message =
            format!("{lines} lines (over {MANY_LINES}, {MAX_LINES} at most): cut it along its nouns");
        findings.push(Finding {
            severity,
            path: source.path.clone(),
            line: None,
            message,
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[Severity]) {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let found: Vec<Severity> = super::check(&source)
            .iter()
            .map(|finding| finding.severity)
            .collect();
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn a_file_that_says_its_job() {
        check("a.rs", "//! Decodes frames.\n\nuse std::fmt;\n", &[]);
        check("a.sh", "echo\n", &[]);
    }

    #[test]
    fn a_file_that_does_not() {
        check("a.rs", "use std::fmt;\n", &[Severity::Error]);
        check("a.rs", "// Decodes frames.\n", &[Severity::Error]);
        check("a.rs", "", &[Severity::Error]);
    }

    #[test]
    fn long_files() {
        let of = |lines: usize| format!("//! Long.\n{}", "\n".repeat(lines - 1));
        check("a.rs", &of(MANY_LINES), &[]);
        check("a.rs", &of(MANY_LINES + 1), &[Severity::Warning]);
        check("a.rs", &of(MAX_LINES + 1), &[Severity::Error]);
        check("a.md", &of(MAX_LINES + 1), &[]);
    }
}
