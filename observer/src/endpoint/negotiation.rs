//! What the client would like: the format by `Accept`, gzip by `Accept-Encoding` (RFC 9110, 12.5). Total: whatever
//! is in the headers, there is an answer; what is not understood is as if it were not there.

use crate::metrics::Format;

/// Elements of a header that are looked at. Prometheus sends 5.
const MAX_ELEMENTS: usize = 32;

/// Weights in thousandths.
type Weight = u16;

/// The format with the greatest weight; text where nothing fits (scrapers expect an answer, not a 406) or where
/// both are liked equally by a wildcard.
pub fn format(accept: &str) -> Format {
    let (mut text, mut open) = (None, None);
    for (order, element) in elements(accept) {
        let weight = element.weight;
        // Earlier wins among equals.
        let rank = (weight, usize::MAX - order);
        match element.value.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" if matches!(element.version, None | Some("1.0.0")) => {
                open = open.max(Some(rank));
            }
            "text/plain" if matches!(element.version, None | Some("0.0.4")) => text = text.max(Some(rank)),
            "text/*" | "*/*" => text = text.max(Some((weight, 0))),
            _ => {}
        }
    }
    let open = open.filter(|(weight, _)| *weight > 0);
    if open.is_some() && open > text {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// Whether gzip is welcome, and not less than no encoding.
pub fn gzip(accept_encoding: &str) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for (_, element) in elements(accept_encoding) {
        match element.value.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(element.weight),
            "identity" => identity = Some(element.weight),
            "*" => any = Some(element.weight),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

struct Element<'a> {
    value: &'a str,
    version: Option<&'a str>,
    weight: Weight,
}

fn elements(header: &str) -> impl Iterator<Item = (usize, Element<'_>)> {
    header
        .split(',')
        .take(MAX_ELEMENTS)
        .enumerate()
        .map(|(order, text)| {
            let mut parts = text.split(';').map(str::trim);
            let mut element = Element {
                value: parts.next().unwrap_or_default(),
                version: None,
                weight: 1000,
            };
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match name.trim() {
                    "q" | "Q" => element.weight = weight(value),
                    "version" => element.version = Some(value),
                    _ => {}
                }
            }
            (order, element)
        })
}

/// `0.75` is 750. What is no weight makes the element unwanted rather than most wanted.
fn weight(text: &str) -> Weight {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "1" if digits => 1000,
        "0" if digits => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(accept: &str, expected: Format) {
        assert_eq!(format(accept), expected, "Accept: {accept}");
    }

    #[test]
    fn prometheus_3() {
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            Format::OpenMetrics,
        );
    }

    #[test]
    fn prometheus_told_to_prefer_text() {
        check(
            "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5",
            Format::Text,
        );
    }

    #[test]
    fn others() {
        for accept in [
            "",
            "*/*",
            "text/html,application/xml;q=0.9,*/*;q=0.8",
            "image/png",
            "text/*",
            ";;,,=q",
        ] {
            check(accept, Format::Text);
        }
        check("application/openmetrics-text", Format::OpenMetrics);
        check(
            "APPLICATION/OpenMetrics-Text; version=\"1.0.0\"",
            Format::OpenMetrics,
        );
        check("application/openmetrics-text;q=0", Format::Text);
        check("application/openmetrics-text;q=0,*/*;q=0", Format::Text);
        check("application/openmetrics-text;version=0.0.1", Format::Text);
        check("application/openmetrics-text;q=2", Format::Text);
        check("text/plain,application/openmetrics-text", Format::Text);
        check("application/openmetrics-text,text/plain", Format::OpenMetrics);
        check(
            "application/openmetrics-text;q=0.5,*/*;q=0.5",
            Format::OpenMetrics,
        );
    }

    #[test]
    fn encodings() {
        for (header, expected) in [
            ("", false),
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("deflate", false),
            ("gzip;q=0", false),
            ("*", true),
            ("*;q=0.5, gzip;q=0", false),
            ("identity, gzip;q=0.5", false),
            ("identity;q=0.5, gzip;q=0.5", true),
            ("GZIP", true),
        ] {
            assert_eq!(gzip(header), expected, "Accept-Encoding: {header}");
        }
    }

    #[test]
    fn weights() {
        for (text, expected) in [
            ("1", 1000),
            ("1.000", 1000),
            ("0.5", 500),
            ("0.05", 50),
            ("0", 0),
            ("0.", 0),
            ("0.1234", 0),
            ("+1", 0),
        ] {
            assert_eq!(weight(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn anything_gets_an_answer(header in "\\PC{0,200}") {
            let _ = (format(&header), gzip(&header));
        }

        #[test]
        fn the_greater_weight_wins(open in 0..=1000_u16, text in 0..=1000_u16) {
            let q = |weight: u16| format!("{}.{:03}", weight / 1000, weight % 1000);
            let accept = format!("text/plain;q={},application/openmetrics-text;q={}", q(text), q(open));
            prop_assert_eq!(format(&accept) == Format::OpenMetrics, open > text);
        }
    }
}
