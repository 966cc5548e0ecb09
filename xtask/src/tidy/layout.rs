//! Where files are and what they are called.

use super::{Finding, Source};

/// All that may lie at the top.
const FOLDERS: [&str; 8] = [
    ".cargo",
    ".ci",
    ".github",
    "deploy",
    "observer",
    "observer-ebpf",
    "tests",
    "xtask",
];

/// Words that say nothing about what is in a module.
const EMPTY_NAMES: [&str; 11] = [
    "common",
    "helper",
    "helpers",
    "lib_common",
    "manager",
    "managers",
    "misc",
    "types",
    "util",
    "utilities",
    "utils",
];

pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut parts = source.path.split('/');
    let top = parts.next().unwrap_or_default();
    if parts.next().is_some() && !FOLDERS.contains(&top) {
        let message = format!("`{top}` is no top-level folder; there are {}", FOLDERS.join(", "));
        findings.push(Finding::error(source, None, message));
    }
    let Some(module) = source.path.strip_suffix(".rs") else {
        return findings;
    };
    if module.ends_with("/mod") {
        findings.push(Finding::error(
            source,
            None,
            "no mod.rs: call it `name.rs`, beside the folder `name`",
        ));
    }
    if let Some(name) = module.split('/').find(|part| EMPTY_NAMES.contains(part)) {
        let message = format!("`{name}` says nothing: call the module by what is in it, a noun");
        findings.push(Finding::error(source, None, message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&str>) {
        let source = Source {
            path: path.to_owned(),
            text: String::new(),
        };
        let found = super::check(&source);
        match expected {
            None => assert_eq!(found, [], "{path}"),
            Some(part) => assert!(
                found.iter().any(|finding| finding.message.contains(part)),
                "{path}: {found:?}"
            ),
        }
    }

    #[test]
    fn good_places() {
        check("observer/src/http2.rs", None);
        check("observer/src/http2/frame.rs", None);
        check("README.md", None);
        check(".github/workflows/ci.yml", None);
    }

    #[test]
    fn a_folder_of_its_own() {
        check("docs/metrics.md", Some("`docs` is no top-level folder"));
    }

    #[test]
    fn a_mod_file() {
        check("observer/src/http2/mod.rs", Some("no mod.rs"));
    }

    #[test]
    fn names_that_say_nothing() {
        check("observer/src/http2/util.rs", Some("`util` says nothing"));
        check("observer/src/common/frame.rs", Some("`common` says nothing"));
        check("observer/docs/types.md", None);
    }
}
