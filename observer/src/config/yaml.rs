//! YAML with the line of everything, so that a mistake can be shown where it is.
//!
//! Built on `saphyr-parser`'s events (serde-based readers lose positions of keys, drop the first of two equal keys, and
//! stop at the first mistake). A configuration needs no aliases, tags or several documents: they are refused, and
//! with them every way to make a small file large.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// The deepest that is known is a rule's label: document, `services`, rule, `label`, value.
const MAX_DEPTH: usize = 16;
/// A thousand rules are 100 KiB; and no file that was not meant is read whole.
pub const MAX_FILE: u64 = 1024 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// From 1.
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    /// Of the key.
    pub line: usize,
    pub value: Node,
}

impl Node {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Why the text is not a configuration at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub line: usize,
    pub message: String,
}

fn malformed<T>(line: usize, message: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed {
        line,
        message: message.into(),
    })
}

/// Reads one document. An empty one is [`Value::Null`]. Equal keys are left in, for whoever checks the keys.
pub fn parse(text: &str) -> Result<Node, Malformed> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        line: 1,
    };
    let mut root = None;
    loop {
        match reader.next()? {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if root.is_some() => {
                return malformed(reader.line, "a second document; everything belongs into one");
            }
            event => root = Some(reader.node(event, 0)?),
        }
    }
    Ok(root.unwrap_or(Node {
        line: 1,
        value: Value::Null,
    }))
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    line: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, Malformed> {
        match self.parser.next_event() {
            Some(Ok((event, Span { start, .. }))) => {
                self.line = start.line().max(1);
                Ok(event)
            }
            Some(Err(error)) => Err(scan_error(&error)),
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, Malformed> {
        let line = self.line;
        if depth > MAX_DEPTH {
            return malformed(line, "nested too deeply");
        }
        let value = match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return malformed(line, "tags (!name) have no meaning here");
            }
            Event::Scalar(text, style, ..) => scalar(text, style),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            Event::Alias(_) => {
                return malformed(line, "aliases (*name) are not supported; write the value again");
            }
            _ => return malformed(line, "the file ends in the middle"),
        };
        Ok(Node { line, value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::List(items)),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut entries = Vec::new();
        loop {
            let event = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Map(entries));
            }
            let line = self.line;
            let Value::Scalar(key) = self.node(event, depth + 1)?.value else {
                return malformed(line, "a key must be a single word");
            };
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            entries.push(Entry { key, line, value });
        }
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    if style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar(text.into_owned())
}

fn scan_error(error: &ScanError) -> Malformed {
    Malformed {
        line: error.marker().line().max(1),
        message: format!("not YAML: {}", error.info()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str, line: usize, message: &str) {
        let error = parse(text).expect_err("must be refused");
        assert_eq!((error.line, error.message.as_str()), (line, message), "{text}");
    }

    #[test]
    fn lines_of_keys_and_values() {
        let root = parse("# c\nlisten: a\n\nservices:\n  - port: 1\n").expect("YAML");
        let Value::Map(entries) = root.value else {
            panic!("a mapping")
        };
        let lines: Vec<_> = entries
            .iter()
            .map(|entry| (entry.key.as_str(), entry.line, entry.value.line))
            .collect();
        assert_eq!(lines, [("listen", 2, 2), ("services", 4, 5)]);
    }

    #[test]
    fn empty_and_null() {
        for text in ["", "# nothing\n", "---\n", "~"] {
            assert_eq!(parse(text).expect("YAML").value, Value::Null, "{text}");
        }
        assert_eq!(
            parse("\"null\"").expect("YAML").value,
            Value::Scalar("null".into())
        );
    }

    #[test]
    fn refusals() {
        refused(
            "a: &x 1\nb: *x\n",
            2,
            "aliases (*name) are not supported; write the value again",
        );
        refused("a: !!binary x\n", 1, "tags (!name) have no meaning here");
        refused(
            "a: 1\n---\nb: 1\n",
            3,
            "a second document; everything belongs into one",
        );
        refused("[a]: 1\n", 1, "a key must be a single word");
        refused(&"[".repeat(40), 1, "nested too deeply");
        assert!(
            parse("a: [1\nb: 2")
                .expect_err("not YAML")
                .message
                .starts_with("not YAML: ")
        );
    }

    proptest! {
        #[test]
        fn anything_gets_an_answer(text in "[ -~\n\t]{0,300}") {
            let _ = parse(&text);
        }

        #[test]
        fn yaml_like_text_gets_an_answer(text in "([a-c]|: |\n|  |- |\\[|\\]|\\{|\\}|,|\"|'|#|&a |\\*a |\\||>|!|\\?){0,60}") {
            let _ = parse(&text);
        }
    }
}
