//! One line of Prometheus text: a name, labels, a value.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};

#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    pub fn has(&self, labels: &[(&str, &str)]) -> bool {
        // An empty label is an absent label.
        labels
            .iter()
            .all(|(name, value)| self.labels.get(*name).map_or("", String::as_str) == *value)
    }

    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{{", self.name)?;
        for (position, (name, value)) in self.labels.iter().enumerate() {
            write!(
                formatter,
                "{}{name}={value:?}",
                if position == 0 { "" } else { "," }
            )?;
        }
        write!(formatter, "}} {}", self.value)
    }
}

pub fn parse(line: &str) -> Result<Sample> {
    let end = line.find(['{', ' ']).context("neither labels nor a value")?;
    let (name, rest) = line.split_at(end);
    ensure!(is_name(name, ":_"), "{name:?} is not a metric name");
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => parse_labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = value.strip_prefix(' ').context("no space before the value")?;
    // A timestamp would be a second word. The observer exports none: what it shows is the present.
    let value = value
        .parse()
        .with_context(|| format!("{value:?} is not a value"))?;
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

fn is_name(text: &str, others: &str) -> bool {
    let letter = |character: char| character.is_ascii_alphabetic() || others.contains(character);
    text.starts_with(letter)
        && text
            .chars()
            .all(|character| letter(character) || character.is_ascii_digit())
}

/// Labels up to the closing brace, and what follows it.
fn parse_labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, after) = rest.split_once("=\"").context("a label without a value")?;
        ensure!(is_name(name, "_"), "{name:?} is not a label name");
        let (value, after) = parse_value(after)?;
        ensure!(
            labels.insert(name.to_owned(), value).is_none(),
            "label {name} twice"
        );
        rest = match after.strip_prefix(',') {
            Some(after) => after,
            None if after.starts_with('}') => after,
            None => bail!("neither a comma nor an end after label {name}"),
        };
    }
}

/// A label's value up to its closing quote, and what follows it.
fn parse_value(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next().context("a value without an end")? {
            '"' => return Ok((value, characters.as_str())),
            '\\' => value.push(match characters.next() {
                Some('n') => '\n',
                Some(character @ ('\\' | '"')) => character,
                other => bail!("unknown escape {other:?}"),
            }),
            character => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let found = parse(line).map_or_else(|error| format!("{error:#}"), |sample| sample.to_string());
        assert_eq!(found, expected);
    }

    #[test]
    fn samples_are_read() {
        check("up 1", "up{} 1");
        check("up{} 1", "up{} 1");
        check(
            r#"a_b:c{x="1",y="}, \"\\\n"} +Inf"#,
            r#"a_b:c{x="1",y="}, \"\\\n"} inf"#,
        );
        check(r#"a{x="1",} 2.5e-3"#, r#"a{x="1"} 0.0025"#);
    }

    #[test]
    fn mistakes_are_refused() {
        check("up", "neither labels nor a value");
        check("1up 1", r#""1up" is not a metric name"#);
        check(
            "up 1 1700000000",
            r#""1 1700000000" is not a value: invalid float literal"#,
        );
        check(r#"up{x="1",x="2"} 1"#, "label x twice");
        check(r#"up{x="\t"} 1"#, "unknown escape Some('t')");
        check(r#"up{x="1"y="2"} 1"#, "neither a comma nor an end after label x");
        check(r#"up{x="1"}1"#, "no space before the value");
    }
}
