//! The map of the code: ARCHITECTURE.md names every top-level module of the daemon.

use super::{Finding, Source};

const MAP: &str = "ARCHITECTURE.md";
const ROOT: &str = "observer/src/";
/// Not modules.
const ROOTS: [&str; 2] = ["main", "lib"];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let Some(map) = sources.iter().find(|source| source.path == MAP) else {
        return Vec::new(); // nothing to keep true yet
    };
    let modules = sources.iter().filter_map(|source| {
        let module = source.path.strip_prefix(ROOT)?.strip_suffix(".rs")?;
        (!module.contains('/') && !ROOTS.contains(&module)).then_some(module)
    });
    let missing = modules.filter(|module| !is_named(&map.text, module));
    let message = |module| format!("module `{module}` of the daemon is not on the map: say what it is for");
    missing
        .map(|module| Finding::error(map, None, message(module)))
        .collect()
}

/// Named as code, not as a word that happens to be in a sentence.
fn is_named(map: &str, module: &str) -> bool {
    map.match_indices(module).any(|(at, _)| {
        let before = map[..at].chars().next_back();
        let after = &map[at + module.len()..];
        let apart = !before.is_some_and(|before| before.is_alphanumeric() || before == '_');
        let quoted = before == Some('`') && after.starts_with(['`', ':', '/']);
        apart && (quoted || after.starts_with(".rs"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(map: &str, expected: usize) {
        let source = |path: &str, text: &str| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let sources = [
            source(MAP, map),
            source("observer/src/lib.rs", ""),
            source("observer/src/event.rs", ""),
            source("observer/src/event/ring.rs", ""),
            source("xtask/src/build.rs", ""),
        ];
        assert_eq!(super::check(&sources).len(), expected, "{map}");
    }

    #[test]
    fn modules_on_the_map() {
        check("`event` reads records", 0);
        check("observer/src/event.rs reads records", 0);
        check("`event::ring` reads records", 0);
    }

    #[test]
    fn modules_not_on_the_map() {
        check("every event is read", 1);
        check("`events` and `other_event`", 1);
    }

    #[test]
    fn no_map_yet() {
        assert_eq!(super::check(&[]), []);
    }
}
