//! What may not be written, line by line.

use super::{Finding, Source};

/// A text that is refused where `place` says.
struct Refused {
    /// Written in two halves, so that this file does not contain it.
    text: &'static str,
    place: Place,
    message: &'static str,
}

#[derive(Clone, Copy)]
enum Place {
    /// Every Rust file.
    Rust,
    /// Rust of crate `tests`, benches, and what stands behind `#[cfg(test)]` elsewhere.
    Tests,
    /// Every file but lockfiles, where no letter or digit stands before the text.
    Any,
}

/// The one place that may wait for time to pass: everything else asks it to wait for something.
const WAIT: &str = "tests/src/wait.rs";
/// Where waiting is not a test's: the workloads are programs that pause because their plan says so, and the watch's
/// tests poll inside their own runtime, with a deadline.
const MAY_PAUSE: [&str; 2] = ["tests/workloads/", "observer/src/attribution/kubernetes/tests.rs"];

const ALLOW: &str = "exceptions are made with #[expect(.., reason = \"..\")]: it tells when it is not needed";
const IGNORED: &str =
    "a test that cannot run here calls tests::skip::skipped and returns, so that it is counted";
const STUB: &str = "no stubs: write it, or leave it out";
const SLEEP: &str = "no fixed sleeps: wait for a condition with a deadline (tests/src/wait.rs)";
const MACHINE: &str = "a path of one machine: derive it, or take it as an argument";
const HOST: &str = "a registry's address: use the package manager and what it is configured for";

const REFUSED: [Refused; 18] = [
    rule(concat!("#[", "allow("), Place::Rust, ALLOW),
    rule(concat!("#![", "allow("), Place::Rust, ALLOW),
    rule(concat!("#[", "ignore"), Place::Rust, IGNORED),
    rule(concat!("todo", "!("), Place::Rust, STUB),
    rule(concat!("unimplemented", "!("), Place::Rust, STUB),
    rule(concat!("thread::", "sleep("), Place::Tests, SLEEP),
    rule(concat!("time::", "sleep("), Place::Tests, SLEEP),
    rule(concat!("/wo", "rk/"), Place::Any, MACHINE),
    rule(concat!("/fa", "rm/"), Place::Any, MACHINE),
    rule(concat!("/ro", "ot/"), Place::Any, MACHINE),
    rule(concat!("/tmp/", "bash_jobs"), Place::Any, MACHINE),
    rule(concat!("deb.", "debian.org"), Place::Any, HOST),
    rule(concat!("security.", "debian.org"), Place::Any, HOST),
    rule(concat!("static.", "crates.io"), Place::Any, HOST),
    rule(concat!("index.", "crates.io"), Place::Any, HOST),
    rule(concat!("static.rust-", "lang.org"), Place::Any, HOST),
    rule(concat!("files.", "pythonhosted.org"), Place::Any, HOST),
    rule(concat!("registry.", "npmjs.org"), Place::Any, HOST),
];

const fn rule(text: &'static str, place: Place, message: &'static str) -> Refused {
    Refused { text, place, message }
}

pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut testing = source.is_test();
    for (index, line) in source.text.lines().enumerate() {
        testing |= line.trim_start().starts_with(concat!("#[cfg", "(test)]"));
        for refused in &REFUSED {
            if refused.applies(source, testing) && refused.occurs(line) {
                let message = format!("`{}`: {}", refused.text, refused.message);
                findings.push(Finding::error(source, Some(index + 1), message));
            }
        }
    }
    findings
}

impl Refused {
    fn applies(&self, source: &Source, testing: bool) -> bool {
        match self.place {
            Place::Rust => source.is_rust(),
            Place::Tests => {
                let exempt =
                    source.path == WAIT || MAY_PAUSE.iter().any(|path| source.path.starts_with(path));
                source.is_rust() && testing && !exempt
            }
            Place::Any => !source.has_extension("lock") && !source.path.ends_with("-lock.json"),
        }
    }

    fn occurs(&self, line: &str) -> bool {
        line.match_indices(self.text).any(|(at, _)| match self.place {
            Place::Rust | Place::Tests => true,
            Place::Any => {
                !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-".contains(before))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: Option<(usize, &str)>) {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let found = super::check(&source);
        let found: Vec<_> = found
            .iter()
            .map(|finding| (finding.line, finding.message.as_str()))
            .collect();
        match expected {
            None => assert_eq!(found, [], "{path}: {text}"),
            Some((line, message)) => {
                assert!(found.iter().all(|(at, _)| *at == Some(line)), "{found:?}");
                assert!(
                    found.iter().any(|(_, said)| said.contains(message)),
                    "{path}: {text}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn every_rule_has_a_violation() {
        for refused in &REFUSED {
            let text = format!("//! A file.\n {} \n", refused.text);
            check("tests/src/story.rs", &text, Some((2, refused.message)));
        }
    }

    #[test]
    fn allow_is_expect_with_a_reason() {
        check("a.rs", concat!("#[", "allow(dead_code)]"), Some((1, ALLOW)));
        check("a.rs", "#[expect(dead_code, reason = \"soon\")]", None);
        check("a.md", concat!("#[", "allow(dead_code)]"), None);
    }

    #[test]
    fn sleeping_where_it_is_not_a_test() {
        let sleep = concat!("std::thread::", "sleep(pause);\n");
        check("observer/src/pipeline.rs", sleep, None);
        check(
            "observer/src/pipeline.rs",
            &format!("{}\nmod tests {{\n{sleep}", concat!("#[cfg", "(test)]")),
            Some((3, SLEEP)),
        );
        check("tests/tests/restart.rs", sleep, Some((1, SLEEP)));
        check("observer/src/rpc/tests.rs", sleep, Some((1, SLEEP)));
        check(WAIT, sleep, None);
    }

    #[test]
    fn paths_and_hosts() {
        check("README.md", concat!("see /wo", "rk/main"), Some((1, MACHINE)));
        check("README.md", concat!("the docs/wo", "rk/page"), None);
        check(
            ".ci/run",
            concat!("curl https://deb.", "debian.org/x"),
            Some((1, HOST)),
        );
        check("Cargo.lock", concat!("https://index.", "crates.io/"), None);
    }
}
