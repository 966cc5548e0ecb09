//! Prometheus text as a test sees it: parsed strictly, searched by name and labels, compared with what applications
//! counted. A search that fails says what there was instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

pub mod calls;
mod line;

pub use line::Sample;

/// A scrape of 10,000 series takes a debug build a second at most.
const LIMIT: Duration = Duration::from_secs(20);
/// Far above the ceiling on series.
const MAX_BODY: u64 = 64 << 20;
/// How many samples a failed search shows.
const MAX_CANDIDATES: usize = 20;

/// The samples of one scrape and the types of their families.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    pub samples: Vec<Sample>,
    pub types: BTreeMap<String, String>,
}

impl Scrape {
    /// Asks an endpoint (`127.0.0.1:9464`) for `/metrics`.
    pub fn fetch(address: &str) -> Result<Self> {
        let (status, body) = get(address, "/metrics")?;
        ensure!(status == 200, "{address} answers {status}: {body}");
        Self::parse(&body)
    }

    /// Text format 0.0.4, without mercy: an unknown escape, a repeated series, a family in two places is an error.
    pub fn parse(text: &str) -> Result<Self> {
        ensure!(
            text.is_empty() || text.ends_with('\n'),
            "the last line has no end"
        );
        let mut scrape = Self::default();
        let (mut seen, mut families, mut current) = (BTreeSet::new(), BTreeSet::new(), String::new());
        for (number, text) in text.lines().enumerate() {
            let place = || format!("line {}: {text}", number + 1);
            if let Some(comment) = text.strip_prefix("# ") {
                let mut words = comment.splitn(3, ' ');
                let (word, family) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                if word == "TYPE" {
                    let kind = words.next().unwrap_or_default().to_owned();
                    let known =
                        ["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind.as_str());
                    ensure!(known, "{}: unknown type", place());
                    let earlier = scrape.types.insert(family.to_owned(), kind);
                    ensure!(earlier.is_none(), "{}: a second TYPE", place());
                }
            } else if !text.is_empty() {
                let sample = line::parse(text).with_context(place)?;
                let family = scrape.family_of(&sample.name);
                ensure!(
                    scrape.types.contains_key(&family),
                    "{}: no TYPE before it",
                    place()
                );
                if family != current {
                    ensure!(
                        families.insert(family.clone()),
                        "{}: family in two places",
                        place()
                    );
                    current = family;
                }
                let series = (sample.name.clone(), sample.labels.clone());
                ensure!(seen.insert(series), "{}: a second time", place());
                scrape.samples.push(sample);
            }
        }
        Ok(scrape)
    }

    fn family_of(&self, name: &str) -> String {
        let composite = |family: &&str| {
            self.types
                .get(*family)
                .is_some_and(|kind| kind == "histogram" || kind == "summary")
        };
        let stems = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|end| name.strip_suffix(end));
        stems.into_iter().find(composite).unwrap_or(name).to_owned()
    }

    /// All samples of a name that have these labels, and perhaps others.
    pub fn find<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name && sample.has(labels))
    }

    /// The value of the one sample with these labels.
    ///
    /// # Panics
    /// When there is none or more than one: it prints what was like it.
    #[track_caller]
    #[expect(clippy::panic, reason = "an assertion for tests")]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found: Vec<&Sample> = self.find(name, labels).collect();
        match found.as_slice() {
            [sample] => sample.value,
            _ => panic!(
                "{} samples of {name} with {labels:?}{}",
                found.len(),
                self.candidates(name, labels)
            ),
        }
    }

    /// The sum of all samples with these labels; 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).map(|sample| sample.value).sum()
    }

    /// What a search might have meant: the samples of that name, those with more of the labels first, else the names
    /// that there are.
    pub fn candidates(&self, name: &str, labels: &[(&str, &str)]) -> String {
        let mut like: Vec<&Sample> = self.samples.iter().filter(|sample| sample.name == name).collect();
        like.sort_by_key(|sample| labels.iter().filter(|label| !sample.has(&[**label])).count());
        let mut text = String::from("; there are:");
        if like.is_empty() {
            for name in self
                .samples
                .iter()
                .map(|sample| &sample.name)
                .collect::<BTreeSet<_>>()
            {
                let _ = write!(text, "\n  {name}");
            }
        }
        for sample in like.iter().take(MAX_CANDIDATES) {
            let _ = write!(text, "\n  {sample}");
        }
        if like.len() > MAX_CANDIDATES {
            let _ = write!(text, "\n  and {} more", like.len() - MAX_CANDIDATES);
        }
        text
    }
}

/// Status and body of a page.
pub fn get(address: &str, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("nobody listens at {address}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    // HTTP/1.0, so that the body comes whole and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_BODY).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the headers")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .context("no status")?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP calls What ended.\n# TYPE calls counter\ncalls{method=\"/a\",status=\"OK\"} 3\n\
        calls{method=\"/b\",status=\"OK\"} 4\n# TYPE took histogram\ntook_bucket{le=\"+Inf\"} 7\ntook_sum 1.5\ntook_count 7\n";

    #[test]
    fn samples_are_found_by_some_of_their_labels() {
        let scrape = Scrape::parse(TEXT).unwrap();
        assert!((scrape.value("calls", &[("method", "/b")]) - 4.0).abs() < f64::EPSILON);
        assert!((scrape.sum("calls", &[("status", "OK")]) - 7.0).abs() < f64::EPSILON);
        assert!((scrape.value("took_count", &[]) - 7.0).abs() < f64::EPSILON);
    }

    #[test]
    #[should_panic(
        expected = "0 samples of calls with [(\"method\", \"/c\")]; there are:\n  calls{method=\"/a\""
    )]
    fn a_failed_search_shows_what_there_is() {
        Scrape::parse(TEXT).unwrap().value("calls", &[("method", "/c")]);
    }

    #[track_caller]
    fn refuse(text: &str, reason: &str) {
        let error = format!("{:#}", Scrape::parse(text).unwrap_err());
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn mistakes_are_refused() {
        refuse("a 1\n", "no TYPE");
        refuse("# TYPE a counter\na 1", "no end");
        refuse("# TYPE a counter\na 1\na 1\n", "second time");
        refuse("# TYPE a counter\n# TYPE a counter\n", "second TYPE");
        refuse("# TYPE a number\n", "unknown type");
        refuse(
            "# TYPE a counter\n# TYPE b counter\na{x=\"1\"} 1\nb 1\na{x=\"2\"} 1\n",
            "two places",
        );
    }
}
