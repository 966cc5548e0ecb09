//! The command line of the truth program.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::situation::{self, Situation};
use crate::workload::Language;

pub const USAGE: &str = "\
Usage: cargo xtask truth [OPTIONS]

  --quick                 the situations and crossings that fit into some minutes
  --situation NAME        only this one; can be repeated
  --implementation NAME   only servers of this implementation; can be repeated
  --client NAME           only clients of this implementation; can be repeated
  --seed N                sizes and crossings as in the run that printed this seed
  --soak MINUTES          mixed traffic with faults for so long, under one observer (30)
  --no-capture            keep no packets of failures
  --programs              build what these servers are, say where each is, and end
  --list                  names of situations and implementations";

#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command line, independent of each other"
)]
pub struct Options {
    pub quick: bool,
    pub situations: Vec<&'static Situation>,
    pub servers: Vec<Language>,
    pub clients: Vec<Language>,
    pub seed: u64,
    pub capture: bool,
    pub soak: Option<Duration>,
    pub list: bool,
    pub programs: bool,
    /// Whether the servers were named.
    pub is_named: bool,
    /// Whether nothing was left out, so that the page can be written.
    pub is_whole: bool,
}

impl Options {
    /// `entropy` is the seed if none is said.
    pub fn parse(arguments: &[String], entropy: u64) -> Result<Self> {
        let mut options = Self {
            quick: false,
            situations: Vec::new(),
            servers: Vec::new(),
            clients: Vec::new(),
            seed: entropy,
            capture: true,
            soak: None,
            list: false,
            programs: false,
            is_named: false,
            is_whole: false,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || {
                rest.next()
                    .with_context(|| format!("{argument} needs a value\n\n{USAGE}"))
            };
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--no-capture" => options.capture = false,
                "--list" => options.list = true,
                "--programs" => options.programs = true,
                "--situation" => options.situations.push(situation_of(value()?)?),
                "--implementation" => options.servers.push(language_of(value()?)?),
                "--client" => options.clients.push(language_of(value()?)?),
                "--soak" => {
                    let minutes: u64 = value()?.parse().context("--soak needs a number of minutes")?;
                    options.soak = Some(Duration::from_mins(minutes));
                }
                "--seed" => options.seed = value()?.parse().context("--seed needs a number")?,
                other => bail!("`cargo xtask truth` knows no `{other}`\n\n{USAGE}"),
            }
        }
        options.is_whole = !options.quick
            && options.soak.is_none()
            && options.situations.is_empty()
            && options.servers.is_empty()
            && options.clients.is_empty();
        options.is_named = !options.servers.is_empty();
        options.fill();
        Ok(options)
    }

    fn fill(&mut self) {
        if self.situations.is_empty() {
            let quick = self.quick;
            self.situations = situation::ALL
                .iter()
                .filter(|one| one.is_quick || !quick)
                .collect();
        }
        if self.servers.is_empty() {
            self.servers = Language::ALL.into();
        }
        if self.clients.is_empty() {
            self.clients = Language::ALL.into();
        }
    }
}

fn situation_of(name: &str) -> Result<&'static Situation> {
    let found = situation::ALL.iter().find(|situation| situation.name == name);
    found.with_context(|| {
        let names: Vec<&str> = situation::ALL.iter().map(|situation| situation.name).collect();
        format!("no situation {name}; there are {}", names.join(", "))
    })
}

fn language_of(name: &str) -> Result<Language> {
    let found = Language::ALL
        .into_iter()
        .find(|language| language.to_string() == name);
    found.with_context(|| {
        let names = Language::ALL.map(|language| language.to_string());
        format!("no implementation {name}; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words, 7)
    }

    #[test]
    fn nothing_said_is_the_whole() {
        let options = parse("").unwrap();
        assert!(options.is_whole && options.seed == 7);
        assert_eq!(options.situations.len(), situation::ALL.len());
        assert!(!parse("--quick").unwrap().is_whole);
    }

    #[test]
    fn parts() {
        let options = parse("--situation goaway --implementation tonic --seed 3").unwrap();
        assert_eq!(options.situations[0].name, "goaway");
        assert_eq!(
            (options.servers.as_slice(), options.seed),
            ([Language::Rust].as_slice(), 3)
        );
        for wrong in ["--situation none", "--seed x", "--seed", "--fast"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> = situation::ALL.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), situation::ALL.len());
    }
}
