//! What a setting is, and how the text of its value is read.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What is said about a setting: everything that flags, environment, file and documentation are made from.
#[derive(Debug)]
pub struct About {
    /// The flag without its dashes.
    pub name: &'static str,
    /// What stands for the value in help.
    pub value: &'static str,
    /// As it would be written. Empty: none.
    pub default: &'static str,
    pub help: &'static str,
    /// Why the default is what it is.
    pub reason: &'static str,
}

impl About {
    /// The key in the file.
    pub fn key(&self) -> String {
        self.name.replace('-', "_")
    }

    pub fn variable(&self) -> String {
        format!(
            "MARTY_OBSERVER_{}",
            self.name.replace(['-', '.'], "_").to_ascii_uppercase()
        )
    }
}

/// A setting whose value is one word in a flag, a variable or the file.
#[derive(Debug)]
pub struct Setting<T: 'static> {
    pub about: About,
    pub parse: fn(&str) -> Result<T, String>,
}

/// `ADDRESS:PORT`, or `:PORT` for every IPv4 address.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        return Ok((Ipv4Addr::UNSPECIFIED, port).into());
    }
    let wrong = |_| format!("`{text}` is not an address; write IP:PORT, [IPV6]:PORT or :PORT");
    text.parse().map_err(wrong)
}

pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

/// One of a few words.
pub fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("`{text}` is none of {}", words.join(", "))
    })
}

pub fn count(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{text}` is not a number between {least} and {most}"))
}

const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// `90s`, `15m`, `1h`; both limits in milliseconds.
pub fn duration(text: &str, least: u64, most: u64) -> Result<Duration, String> {
    let milliseconds = scaled(text, &DURATIONS).filter(|value| (least..=most).contains(value));
    milliseconds.map(Duration::from_millis).ok_or_else(|| {
        let (least, most) = (in_words(least, &DURATIONS), in_words(most, &DURATIONS));
        format!(
            "`{text}` is not a duration between {least} and {most}; write for example 500ms, 90s, 15m, 1h"
        )
    })
}

const SIZES: [(&str, u64); 4] = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// `16MiB`, or bytes.
pub fn size(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let bytes = scaled(text, &SIZES).filter(|value| (least..=most).contains(value));
    bytes.ok_or_else(|| {
        let (least, most) = (in_words(least, &SIZES), in_words(most, &SIZES));
        format!("`{text}` is not a size between {least} and {most}; write for example 512KiB, 16MiB")
    })
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// In the largest unit that leaves no fraction.
fn in_words(value: u64, units: &[(&str, u64)]) -> String {
    let unit = units
        .iter()
        .rev()
        .find(|(_, factor)| value.is_multiple_of(*factor));
    unit.map_or_else(
        || value.to_string(),
        |(name, factor)| format!("{}{name}", value / factor),
    )
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn check<T: Debug + PartialEq>(found: Result<T, String>, expected: Result<T, &str>) {
        assert_eq!(
            found.as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|text| *text)
        );
    }

    #[test]
    fn addresses() {
        check(address("127.0.0.1:1"), Ok(([127, 0, 0, 1], 1).into()));
        check(address(":9464"), Ok(([0, 0, 0, 0], 9464).into()));
        check(
            address("[::1]:5").map(|address| address.to_string()),
            Ok("[::1]:5".into()),
        );
        for text in ["localhost:1", "1.2.3.4", ":70000", ""] {
            let message = format!("`{text}` is not an address; write IP:PORT, [IPV6]:PORT or :PORT");
            check(address(text), Err(&message));
        }
    }

    #[test]
    fn words_and_booleans() {
        check(boolean("true"), Ok(true));
        check(boolean("yes"), Err("`yes` is neither true nor false"));
        check(word("b", &[("a", 1), ("b", 2)]), Ok(2));
        check(word("c", &[("a", 1), ("b", 2)]), Err("`c` is none of a, b"));
    }

    #[test]
    fn numbers() {
        check(count("5", 1, 10), Ok(5));
        check(count("11", 1, 10), Err("`11` is not a number between 1 and 10"));
        check(count("-1", 1, 10), Err("`-1` is not a number between 1 and 10"));
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("15m", 900_000),
            ("1h", 3_600_000),
            ("2 s", 2000),
        ] {
            check(duration(text, 1, 3_600_000), Ok(Duration::from_millis(expected)));
        }
        for text in ["5", "2h", "1d", "s", "", "0ms", "99999999999999999999h"] {
            let message = format!(
                "`{text}` is not a duration between 1ms and 1h; write for example 500ms, 90s, 15m, 1h"
            );
            check(duration(text, 1, 3_600_000), Err(&message));
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("70000", 70_000),
            ("512KiB", 512 << 10),
            ("16 MiB", 16 << 20),
            ("1GiB", 1 << 30),
        ] {
            check(size(text, 65_536, 1 << 30), Ok(expected));
        }
        let message = "`1MB` is not a size between 64KiB and 1GiB; write for example 512KiB, 16MiB";
        check(size("1MB", 65_536, 1 << 30), Err(message));
    }

    proptest! {
        #[test]
        fn anything_gets_an_answer(text in "\\PC{0,30}") {
            let _ = (address(&text), boolean(&text), count(&text, 0, 9), duration(&text, 0, 9), size(&text, 0, 9));
        }
    }
}
