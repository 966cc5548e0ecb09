//! The Prometheus text format 0.0.4, strictly: a line that is not in it fails the whole, because half of the numbers
//! would look like all of them.

use thiserror::Error;

/// More labels than any series of the observer has, times four.
const MAX_LABELS: usize = 32;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line} is not Prometheus text: {what}")]
pub struct Error {
    pub line: usize,
    pub what: &'static str,
}

/// Labels of one sample.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// Empty where it is absent, which is the same to Prometheus.
    pub fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value)
    }
}

/// Shows every sample to `see`.
pub fn parse(text: &str, mut see: impl FnMut(&str, &Labels, f64)) -> Result<(), Error> {
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, labels, value) = sample(line).map_err(|what| Error {
            line: index + 1,
            what,
        })?;
        see(name, &labels, value);
    }
    if text.is_empty() || text.ends_with('\n') {
        Ok(())
    } else {
        let line = text.lines().count();
        Err(Error {
            line,
            what: "the end of the line is missing",
        })
    }
}

fn sample(line: &str) -> Result<(&str, Labels, f64), &'static str> {
    let end = line.find(['{', ' ']).ok_or("neither labels nor a value")?;
    let (metric, rest) = line.split_at(end);
    if !is_name(metric, true) {
        return Err("not the name of a metric");
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::default(), rest),
    };
    let mut words = rest
        .strip_prefix(' ')
        .ok_or("no space before the value")?
        .split(' ');
    let value = value(words.next().unwrap_or_default()).ok_or("not a value")?;
    match (words.next().map(str::parse::<i64>), words.next()) {
        (None | Some(Ok(_)), None) => Ok((metric, labels, value)),
        _ => Err("something after the value that is no timestamp"),
    }
}

fn labels(mut rest: &str) -> Result<(Labels, &str), &'static str> {
    let mut labels = Vec::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((Labels(labels), rest));
        }
        if labels.len() == MAX_LABELS {
            return Err("too many labels");
        }
        let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(label, false) {
            return Err("not the name of a label");
        }
        let (value, after) = quoted(after)?;
        labels.push((label.to_owned(), value));
        rest = match after.strip_prefix(',') {
            Some(after) => after,
            None if after.starts_with('}') => after,
            None => return Err("neither a comma nor the end after a label"),
        };
    }
}

/// To the closing quote.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '"' => return Ok((value, rest.as_str())),
            '\\' => value.push(match rest.next() {
                Some('n') => '\n',
                Some(char @ ('"' | '\\')) => char,
                _ => return Err("an unknown escape"),
            }),
            char => value.push(char),
        }
    }
    Err("a label value without an end")
}

fn value(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        // Rust also reads `inf` and `infinity`, which the format does not have.
        _ if text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) =>
        {
            text.parse().ok()
        }
        _ => None,
    }
}

fn is_name(text: &str, colon: bool) -> bool {
    let is = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colon && byte == b':');
    !text.is_empty() && text.bytes().all(is) && !text.starts_with(|char: char| char.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::catalogue;
    use crate::metrics::exposition::{Encoder, Format, Value};

    fn check(text: &str, expected: Result<&str, &str>) {
        let mut seen = String::new();
        let parsed = parse(text, |name, labels, value| {
            seen = format!("{name} {:?} {value}", labels.0);
        });
        match (parsed, expected) {
            (Ok(()), Ok(expected)) => assert_eq!(seen, expected, "{text}"),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected, "{text}"),
            (parsed, _) => panic!("{text}: {parsed:?} {seen}"),
        }
    }

    #[test]
    fn samples() {
        check("", Ok(""));
        check("# HELP a b\n# TYPE a counter\n\n", Ok(""));
        check("a 1\n", Ok("a [] 1"));
        check("a:b{} -1.5e3 123\n", Ok("a:b [] -1500"));
        check(
            "a{b=\"\\\"\\\\\\n}\",c=\"\"} +Inf\n",
            Ok("a [(\"b\", \"\\\"\\\\\\n}\"), (\"c\", \"\")] inf"),
        );
        check("a{b=\"c\",} NaN\n", Ok("a [(\"b\", \"c\")] NaN"));
    }

    #[test]
    fn refusals() {
        let check = |text: &str, what: &str| {
            check(text, Err(&format!("line 1 is not Prometheus text: {what}")));
        };
        check("a 1", "the end of the line is missing");
        check("a\n", "neither labels nor a value");
        check("1a 1\n", "not the name of a metric");
        check("a{b} 1\n", "a label without a value");
        check("a{b=\"\\t\"} 1\n", "an unknown escape");
        check("a{b=\"} 1\n", "a label value without an end");
        check("a{b=\"\"c=\"\"} 1\n", "neither a comma nor the end after a label");
        check("a{:=\"\"} 1\n", "not the name of a label");
        check("a{b=\"\"}1\n", "no space before the value");
        check("a inf\n", "not a value");
        check("a 1 x\n", "something after the value that is no timestamp");
        check(&format!("a{{{}}} 1\n", "b=\"\",".repeat(33)), "too many labels");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "[a-z{}\"=,\\\\ \n#0-9+.]*|\\PC*") {
            let _ = parse(&text, |_, _, _| {});
        }

        #[test]
        fn what_the_endpoint_writes_is_read(whole: u64, nanoseconds: u64, float: f64) {
            let mut encoder = Encoder::new(Format::Text, 0);
            let values = [Value::Whole(whole), Value::Nanoseconds(nanoseconds), Value::Float(float)];
            for value in values {
                encoder.sample(&catalogue::LOST, "", &["reason=\"a\""], value);
            }
            let text = String::from_utf8(encoder.finish()).expect("text");
            let mut seen = Vec::new();
            parse(&text, |_, labels, value| seen.push((labels.get("reason").to_owned(), value))).expect("parsed");
            prop_assert_eq!(seen.len(), values.len());
            prop_assert!(seen.last().is_some_and(|(_, last)| last.to_bits() == float.to_bits() || float.is_nan()));
        }
    }
}
