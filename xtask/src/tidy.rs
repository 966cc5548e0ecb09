//! `cargo xtask tidy`: the rules of structure that a reader would have to remember and a machine can check exactly.
//! Also a test. Each rule is data and one message that says what to do instead; rules that need judgement are
//! for reviewers.

mod direction;
mod file;
mod layout;
mod map;
mod text;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// One file that git knows or would add.
#[derive(Debug)]
pub struct Source {
    /// Relative to the workspace's root.
    pub path: String,
    pub text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    /// Whether the whole file is only compiled for tests and benches.
    fn is_test(&self) -> bool {
        let path = self.path.as_str();
        path.starts_with("tests/")
            || path.ends_with("/tests.rs")
            || ["/tests/", "/benches/"]
                .iter()
                .any(|folder| path.contains(folder))
    }

    fn has_extension(&self, extension: &str) -> bool {
        std::path::Path::new(&self.path)
            .extension()
            .is_some_and(|own| own == extension)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Warning,
    Error,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub path: String,
    /// From 1; none where the finding is about the whole file.
    pub line: Option<usize>,
    pub message: String,
}

impl Finding {
    fn error(source: &Source, line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: source.path.clone(),
            line,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            severity,
            path,
            line,
            message,
        } = self;
        let severity = match severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        match line {
            Some(line) => write!(f, "{severity}: {path}:{line}: {message}"),
            None => write!(f, "{severity}: {path}: {message}"),
        }
    }
}

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    if let [other, ..] = args {
        bail!("`cargo xtask tidy` takes no arguments, not `{other}` either");
    }
    Ok(if check(workspace)? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints what is found; false where something must change.
pub fn check(workspace: &Workspace) -> Result<bool> {
    let sources = sources(workspace)?;
    let findings = findings(&sources);
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    println!(
        "tidy: {} files, {errors} errors, {} warnings",
        sources.len(),
        findings.len() - errors
    );
    Ok(errors == 0)
}

fn findings(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        findings.extend(layout::check(source));
        findings.extend(text::check(source));
        findings.extend(file::check(source));
        findings.extend(direction::check(source));
    }
    findings.extend(map::check(sources));
    findings
}

/// All text files that git tracks or would track.
fn sources(workspace: &Workspace) -> Result<Vec<Source>> {
    let mut list = process::command("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&workspace.root);
    let listed = process::output(&mut list).context("tidy asks git which files belong to the project")?;
    let mut sources = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let Ok(bytes) = std::fs::read(workspace.root.join(path)) else {
            continue; // deleted, not yet committed; or a link to nowhere
        };
        // What is not text is nobody's prose or code.
        let text = String::from_utf8(bytes).unwrap_or_default();
        sources.push(Source {
            path: path.to_owned(),
            text,
        });
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_project() {
        let workspace = Workspace::find().unwrap();
        let sources = sources(&workspace).unwrap();
        assert!(sources.iter().any(|source| source.path == "xtask/src/tidy.rs"));
        let errors = findings(&sources)
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error);
        let errors: Vec<String> = errors.map(|finding| finding.to_string()).collect();
        assert!(errors.is_empty(), "\n{}", errors.join("\n"));
    }
}
