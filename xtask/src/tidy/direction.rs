//! Which module of the daemon may know which. Data flows through the stages from left to right, and a stage knows
//! only what lies behind it; composing is the job of few.

use super::{Finding, Source};

/// From left to right.
const STAGES: [&str; 9] = [
    "event",
    "stream",
    "http2",
    "hpack",
    "rpc",
    "attribution",
    "metrics",
    "gauge",
    "endpoint",
];

/// Neighbours that do not know each other: HTTP/2 carries header blocks, HPACK reads them, `session` joins both.
const STRANGERS: [(&str, &str); 1] = [("hpack", "http2")];

/// Who may join stages; no stage knows them.
const COMPOSERS: [&str; 7] = ["session", "pipeline", "config", "daemon", "replay", "main", "lib"];

/// What a stage takes from a composer all the same.
const GRANTED: [(&str, &str); 1] = [
    // The web configuration file is read by the reader of all configuration.
    ("endpoint", "config"),
];

/// Modules that turn bytes into values: total and pure.
const DECODING: [&str; 6] = ["event", "stream", "http2", "hpack", "rpc", "session"];
/// Parts of them that are about something else.
const NOT_DECODING: [&str; 1] = ["observer/src/event/ring.rs"];

/// Words that decoding never says, with what to do instead.
const FOREIGN: [(&str, &str); 10] = [
    ("aya", "kernel maps belong to `event::ring` and `probe`"),
    ("tokio", "waiting belongs to `pipeline` and `endpoint`"),
    ("kube", "Kubernetes belongs to `attribution`"),
    ("k8s_openapi", "Kubernetes belongs to `attribution`"),
    ("prometheus", "counting belongs to `metrics`"),
    ("prometheus_client", "counting belongs to `metrics`"),
    ("Instant", "time comes in as a value"),
    ("SystemTime", "time comes in as a value"),
    ("unsafe", "decoding hostile bytes is safe code only"),
    ("File", "input and output belong to the caller"),
];

const ROOT: &str = "observer/src/";

pub fn check(source: &Source) -> Vec<Finding> {
    let Some(path) = source
        .path
        .strip_prefix(ROOT)
        .filter(|_| source.is_rust() && !source.is_test())
    else {
        return Vec::new();
    };
    let module = path.split(['/', '.']).next().unwrap_or_default();
    let code = code(&source.text);
    let mut findings = Vec::new();
    let mut first_stage = None;
    for (line, import) in imports(&code) {
        let complaint =
            stage_complaint(module, &import).or_else(|| joining_complaint(module, &import, &mut first_stage));
        findings.extend(complaint.map(|message| Finding::error(source, Some(line), message)));
    }
    if DECODING.contains(&module) && !NOT_DECODING.contains(&source.path.as_str()) {
        findings.extend(foreign_words(&code).map(|(line, word, instead)| {
            Finding::error(source, Some(line), format!("`{word}` in decoding: {instead}"))
        }));
    }
    findings
}

/// What a stage may not import.
fn stage_complaint(module: &str, import: &str) -> Option<String> {
    let own = STAGES.iter().position(|stage| *stage == module)?;
    if import == module {
        return None;
    }
    if COMPOSERS.contains(&import) && !GRANTED.contains(&(module, import)) {
        return Some(format!(
            "stage `{module}` imports `{import}`, which composes stages: turn it round"
        ));
    }
    let other = STAGES.iter().position(|stage| *stage == import)?;
    if other > own {
        return Some(format!(
            "stage `{module}` imports `{import}`, which is to its right: turn it round"
        ));
    }
    STRANGERS
        .contains(&(module, import))
        .then(|| format!("`{module}` and `{import}` do not know each other: join them in `session`"))
}

/// What neither composes nor is a stage may look at one stage, not join two.
fn joining_complaint(module: &str, import: &str, first: &mut Option<String>) -> Option<String> {
    if STAGES.contains(&module) || COMPOSERS.contains(&module) || !STAGES.contains(&import) {
        return None;
    }
    let first = first.get_or_insert_with(|| import.to_owned());
    (first != import).then(|| {
        format!(
            "`{module}` joins the stages `{first}` and `{import}`: only {} may",
            COMPOSERS[..5].join(", ")
        )
    })
}

/// The lines of code with their numbers: no comments, and nothing behind the tests' `#[cfg(test)]`, which may
/// join what they like.
fn code(text: &str) -> Vec<(usize, &str)> {
    let end = text.find(concat!("#[cfg", "(test)]\nmod ")).unwrap_or(text.len());
    let lines = text[..end].lines().enumerate();
    lines
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
        .collect()
}

/// Top-level modules that the code names by `crate::` (also in braces) or by `super::`.
fn imports(code: &[(usize, &str)]) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| *token);
    let mut imports = Vec::new();
    for at in 0..tokens.len() {
        if !matches!(word(at), "crate" | "super") || word(at + 1) != "::" {
            continue;
        }
        let mut depth = 0;
        let mut next = at + 2;
        loop {
            match word(next) {
                "{" => depth += 1,
                "}" => depth -= 1,
                "" => break,
                // The first word of a path, at the outermost level of the braces.
                name if depth <= 1
                    && matches!(word(next - 1), "::" | "{" | ",")
                    && starts(&tokens, next, at) =>
                {
                    imports.push((tokens[next].0, name.to_owned()));
                }
                _ => {}
            }
            if depth <= 0 {
                break;
            }
            next += 1;
        }
    }
    imports.retain(|(_, name)| STAGES.contains(&&**name) || COMPOSERS.contains(&&**name));
    imports
}

/// Whether the word at `next` is the first behind the `crate::` or `super::` at `root`.
fn starts(tokens: &[(usize, &str)], next: usize, root: usize) -> bool {
    next == root + 2 || matches!(tokens[next - 1].1, "{" | ",")
}

/// Words, `::`, and single other characters.
fn tokens<'a>(code: &[(usize, &'a str)]) -> Vec<(usize, &'a str)> {
    let mut tokens = Vec::new();
    for (line, text) in code {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |character: char| character.is_alphanumeric() || character == '_';
            let length = if is_word(first) {
                rest.find(|character| !is_word(character)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            tokens.push((*line, token));
            rest = after.trim_start();
        }
    }
    tokens
}

fn foreign_words(code: &[(usize, &str)]) -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    let tokens = tokens(code).into_iter();
    tokens.filter_map(|(line, token)| {
        FOREIGN
            .iter()
            .find(|(word, _)| *word == token)
            .map(|(word, instead)| (line, *word, *instead))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let found = super::check(&source);
        assert_eq!(found.len(), expected.len(), "{path}: {text}: {found:#?}");
        for (finding, part) in found.iter().zip(expected) {
            assert!(finding.message.contains(part), "{path}: {text}: {found:#?}");
        }
    }

    #[test]
    fn looking_left() {
        check(
            "observer/src/rpc/call.rs",
            "use crate::http2::{Frame, Head};\nuse crate::hpack;\n",
            &[],
        );
        check(
            "observer/src/metrics.rs",
            "use crate::{attribution::Service, clock, rpc};\n",
            &[],
        );
        check(
            "observer/src/http2/frame.rs",
            "use crate::http2::head;\nuse super::stream_id;\n",
            &[],
        );
    }

    #[test]
    fn looking_right() {
        check(
            "observer/src/http2/frame.rs",
            "use crate::rpc::Call;\n",
            &["imports `rpc`"],
        );
        check(
            "observer/src/event.rs",
            "fn f() -> crate::metrics::Cell {}\n",
            &["imports `metrics`"],
        );
        check(
            "observer/src/stream.rs",
            "use crate::{\n    clock,\n    event::Record,\n    hpack::{self, Table},\n};\n",
            &["imports `hpack`"],
        );
        check(
            "observer/src/http2.rs",
            "use super::hpack;\n",
            &["imports `hpack`"],
        );
    }

    #[test]
    fn strangers() {
        check(
            "observer/src/hpack/table.rs",
            "use crate::http2;\n",
            &["do not know each other"],
        );
        check("observer/src/http2.rs", "use crate::hpack;\n", &["to its right"]);
    }

    #[test]
    fn composing() {
        check(
            "observer/src/session.rs",
            "use crate::{hpack, http2, rpc};\n",
            &[],
        );
        check(
            "observer/src/rpc.rs",
            "use crate::session::Session;\n",
            &["composes stages"],
        );
        check(
            "observer/src/preflight.rs",
            "use crate::metrics;\nuse crate::metrics::own;\n",
            &[],
        );
        check(
            "observer/src/preflight.rs",
            "use crate::{metrics, event};\n",
            &["joins the stages"],
        );
    }

    #[test]
    fn words_inside_braces_are_not_modules() {
        check(
            "observer/src/http2.rs",
            "use crate::clock::{Clock, rpc};\nlet x = stream::rpc;\n",
            &[],
        );
    }

    #[test]
    fn comments_and_tests_may_say_anything() {
        check(
            "observer/src/http2.rs",
            "//! See [`crate::rpc`] and aya.\n/// tokio\nfn f() {}\n",
            &[],
        );
        let test = concat!(
            "fn f() {}\n\n#[cfg",
            "(test)]\nmod tests { use crate::rpc; use tokio; }\n"
        );
        check("observer/src/http2.rs", test, &[]);
    }

    #[test]
    fn tests_in_a_file_of_their_own() {
        check(
            "observer/src/http2/tests.rs",
            "use crate::rpc;\nuse tokio;\n",
            &[],
        );
    }

    #[test]
    fn foreign_words_in_decoding() {
        for (word, instead) in FOREIGN {
            check(
                "observer/src/hpack.rs",
                &format!("use {word}::thing;\n"),
                &[instead],
            );
        }
        check("observer/src/event/ring.rs", "use aya::maps::RingBuf;\n", &[]);
        check("observer/src/endpoint.rs", "use tokio::net;\n", &[]);
        check("observer/src/session.rs", "let payable = 1;\n", &[]);
    }

    #[test]
    fn other_crates_are_free() {
        check("xtask/src/hpack.rs", "use crate::rpc;\n", &[]);
    }
}
