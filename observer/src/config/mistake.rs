//! What is wrong with what was said, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Flag(&'static str),
    Environment(String),
    /// `key` is empty where the file as a whole is meant.
    File {
        path: PathBuf,
        line: usize,
        key: String,
    },
    Default,
}

impl Place {
    pub fn file(path: &Path, line: usize, key: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            line,
            key: key.into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Environment(name) => f.write_str(name),
            Self::File { path, line, key } if key.is_empty() => write!(f, "{}:{line}", path.display()),
            Self::File { path, line, key } => write!(f, "{}:{line}: {key}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: Place,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All mistakes of one run; an error when there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub fn add(&mut self, place: Place, message: impl Into<String>) {
        self.0.push(Mistake {
            place,
            message: message.into(),
        });
    }

    pub fn none(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(
            f,
            "{count} mistake{} in the configuration:",
            if count == 1 { "" } else { "s" }
        )?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

/// The message for a key that nobody knows, with the nearest that is known.
pub fn unknown_key<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = known.into_iter().map(|name| (distance(key, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= name.chars().count() / 2 => {
            format!("unknown; the nearest known name is `{name}`")
        }
        _ => "unknown".to_owned(),
    }
}

/// Keys longer than this are nobody's typing error.
const MAX_KEY: usize = 64;

/// How many letters to insert, remove or replace to get from one to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(MAX_KEY).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(MAX_KEY).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            let best = (diagonal + usize::from(x != *y)).min(left + 1).min(above + 1);
            diagonal = *above;
            left = best;
            next.push(best);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "abc", 3),
            ("listen", "listne", 2),
            ("kitten", "sitting", 3),
            ("a", "a", 0),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn nearest_name() {
        let known = ["listen", "log_format", "log_level"];
        assert_eq!(
            unknown_key("lissen", known),
            "unknown; the nearest known name is `listen`"
        );
        assert_eq!(
            unknown_key("log-format", known),
            "unknown; the nearest known name is `log_format`"
        );
        assert_eq!(unknown_key("zzzzzzzz", known), "unknown");
    }

    #[test]
    fn all_are_shown() {
        let mut mistakes = Mistakes::default();
        mistakes.add(Place::Flag("listen"), "bad");
        assert_eq!(
            mistakes.to_string(),
            "1 mistake in the configuration:\n  --listen: bad"
        );
        mistakes.add(Place::file(Path::new("o.yaml"), 3, "labels.pod"), "worse");
        mistakes.add(Place::file(Path::new("o.yaml"), 4, ""), "worst");
        mistakes.add(Place::Environment("MARTY_OBSERVER_X".into()), "unknown");
        assert_eq!(
            mistakes.to_string(),
            "4 mistakes in the configuration:\n  --listen: bad\n  o.yaml:3: labels.pod: worse\n  o.yaml:4: worst\n  \
             MARTY_OBSERVER_X: unknown"
        );
    }
}
