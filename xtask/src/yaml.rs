//! YAML as JSON values: for the project's own files and for what helm renders. Comments and places are not kept.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use serde_json::{Map, Value};

/// All documents of `text`; empty ones are left out.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(documents),
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => documents.push(reader.node(event)?),
        }
        documents.retain(|document| !document.is_null());
    }
}

/// The only document of `text`.
pub fn document(text: &str) -> Result<Value> {
    let mut documents = documents(text)?;
    match documents.len() {
        1 => documents.pop().context("one document"),
        other => bail!("{other} YAML documents where one is expected"),
    }
}

/// The only document of a file.
pub fn file(path: &std::path::Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    document(&text).with_context(|| path.display().to_string())
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Value>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>> {
        match self.parser.next_event() {
            Some(event) => Ok(event?.0),
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Event<'a>) -> Result<Value> {
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::SequenceStart(anchor, _) => (self.list()?, anchor),
            Event::MappingStart(anchor, _) => (self.map()?, anchor),
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).context("an alias of nothing")?;
                return Ok(value.clone());
            }
            _ => bail!("the document ends in its middle"),
        };
        // 0 is what has no anchor.
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn list(&mut self) -> Result<Value> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(items)),
                event => items.push(self.node(event)?),
            }
        }
    }

    fn map(&mut self) -> Result<Value> {
        let mut entries = Map::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(Value::Object(entries)),
                Event::Scalar(key, ..) => key.into_owned(),
                _ => bail!("a key that is no text"),
            };
            let event = self.next()?;
            let value = self.node(event)?;
            if entries.insert(key.clone(), value).is_some() {
                bail!("the key `{key}` is there twice");
            }
        }
    }
}

/// By YAML 1.2's core schema; a quoted scalar is a text.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::from(text);
    }
    match text {
        "" | "~" | "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let begins_as_number = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    if begins_as_number {
        if let Ok(whole) = text.parse::<i64>() {
            return Value::from(whole);
        }
        if let Ok(number) = text.parse::<f64>() {
            return Value::from(number);
        }
    }
    Value::from(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, expected: &[Value]) {
        assert_eq!(documents(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn values_of_all_kinds() {
        check(
            "a: [1, 2.5, x, '3', true, null]\nb: |\n  two\n  lines\nc: {d: ~}\n",
            &[json!({"a": [1, 2.5, "x", "3", true, null], "b": "two\nlines\n", "c": {"d": null}})],
        );
        check("e: 30d\nf: .+\n", &[json!({"e": "30d", "f": ".+"})]);
    }

    #[test]
    fn documents_of_a_stream() {
        check(
            "---\na: 1\n---\n# nothing\n---\nb: 2\n",
            &[json!({"a": 1}), json!({"b": 2})],
        );
    }

    #[test]
    fn anchors() {
        check("a: &x {b: 1}\nc: *x\n", &[json!({"a": {"b": 1}, "c": {"b": 1}})]);
    }

    #[test]
    fn mistakes() {
        assert!(documents("a: [1").is_err());
        assert!(documents("a: 1\na: 2\n").is_err());
    }
}
