//! Values of labels: from bytes off the wire to text that every scraper accepts.
//!
//! What is written here is already in exposition form (escaped), so that a scrape copies it.

use std::fmt::Write as _;

pub use crate::rpc::Status;

/// Bytes of one label value, before escaping. Kubernetes names end at 253; a gRPC path is a package, a service and
/// a method, and 512 is beyond what any generator produces. A longer path goes to `_other`, a longer name is cut.
pub const MAX_LABEL_VALUE: usize = 512;

/// The method of calls whose `:path` cannot be known.
pub const UNKNOWN: &str = "_unknown";
/// Where the calls go that a ceiling keeps from a series of their own.
pub const OTHER: &str = "_other";

/// Who serves (or calls). Empty parts are left out of the exposition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceLabels<'a> {
    pub service: &'a str,
    pub namespace: &'a str,
    pub pod: &'a str,
}

/// Which socket saw the call: the one that receives requests, or the one that sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side<'a> {
    Server,
    Client { peer: &'a str },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// `:path` as it was on the wire.
    Path(&'a [u8]),
    /// Sent in a form that cannot be resolved (the connection is older than the observer).
    Unknown,
    /// Known to be above some bound of an earlier stage.
    Other,
}

/// Appends bytes as an escaped label value. What is not text (invalid UTF-8, control characters) becomes
/// `%` and two hex digits per byte, as in a URL: visible, one line, and different bytes stay different unless the
/// sender spelled the escape itself.
pub fn escape_into(out: &mut String, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (text, bad) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, 0),
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                // At the end of the input the length is not told: all that is left is bad.
                let bad = error.error_len().unwrap_or(bytes.len() - valid.len());
                (std::str::from_utf8(valid).unwrap_or_default(), bad)
            }
        };
        escape_text(out, text);
        let rest = bytes.get(text.len()..).unwrap_or_default();
        for byte in rest.iter().take(bad) {
            percent(out, *byte);
        }
        bytes = rest.get(bad..).unwrap_or_default();
    }
}

fn escape_text(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str(r"\\"),
            '"' => out.push_str("\\\""),
            c if c.is_control() => c
                .encode_utf8(&mut [0; 4])
                .bytes()
                .for_each(|byte| percent(out, byte)),
            c => out.push(c),
        }
    }
}

fn percent(out: &mut String, byte: u8) {
    // Writing to a String does not fail.
    let _ = write!(out, "%{byte:02X}");
}

/// Appends `name="value"` with a comma before it where needed; nothing at all for an empty value, which to
/// Prometheus is the same as no label.
pub fn pair_into(out: &mut String, name: &str, value: &[u8]) {
    if value.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
    escape_into(out, cut(value));
    out.push('"');
}

/// The first [`MAX_LABEL_VALUE`] bytes, not inside a character.
fn cut(value: &[u8]) -> &[u8] {
    let mut end = value.len().min(MAX_LABEL_VALUE);
    while end > 0 && value.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
        end -= 1;
    }
    value.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(input: &[u8], expected: &str) {
        let mut out = String::new();
        escape_into(&mut out, input);
        assert_eq!(out, expected, "input {input:?}");
    }

    #[test]
    fn ordinary_path() {
        check(
            b"/csca.CscaService/GetCertificate",
            "/csca.CscaService/GetCertificate",
        );
    }

    #[test]
    fn quotes_and_backslashes() {
        check(br#"/a"b\c"#, r#"/a\"b\\c"#);
    }

    #[test]
    fn control_characters() {
        check(b"/a\nb\r\0\x7f", "/a%0Ab%0D%00%7F");
        check("\u{85}".as_bytes(), "%C2%85");
    }

    #[test]
    fn text_outside_ascii_stays() {
        check("/ärger".as_bytes(), "/ärger");
    }

    #[test]
    fn invalid_utf8() {
        check(b"/a\xffb\xe2\x82", "/a%FFb%E2%82");
    }

    #[test]
    fn empty_value_is_no_label() {
        let mut out = String::from("a=\"b\"");
        pair_into(&mut out, "namespace", b"");
        pair_into(&mut out, "pod", b"p");
        assert_eq!(out, "a=\"b\",pod=\"p\"");
    }

    #[test]
    fn long_value_is_cut_between_characters() {
        let long = "é".repeat(MAX_LABEL_VALUE);
        let shifted = format!("x{long}");
        assert_eq!(cut(long.as_bytes()).len(), MAX_LABEL_VALUE);
        assert_eq!(cut(shifted.as_bytes()).len(), MAX_LABEL_VALUE - 1);
    }

    proptest! {
        #[test]
        fn any_bytes_give_one_line_of_valid_label(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = String::new();
            escape_into(&mut out, &bytes);
            prop_assert!(!out.chars().any(char::is_control));
            // Every quote and backslash is escaped: reading escapes left to right never meets a bare quote.
            let mut chars = out.chars();
            while let Some(c) = chars.next() {
                prop_assert_ne!(c, '"');
                if c == '\\' {
                    prop_assert!(matches!(chars.next(), Some('\\' | '"')));
                }
            }
        }

        #[test]
        fn different_paths_stay_different(a in "[^%]{0,40}", b in "[^%]{0,40}") {
            let (mut left, mut right) = (String::new(), String::new());
            escape_into(&mut left, a.as_bytes());
            escape_into(&mut right, b.as_bytes());
            prop_assert_eq!(a == b, left == right);
        }
    }
}
