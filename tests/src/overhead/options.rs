//! The command line of the overhead program.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

pub const USAGE: &str = "\
Usage: cargo xtask bench --overhead [OPTIONS]

  --quick          fewer and shorter rounds; prints the page and writes nothing
  --only SECTION   only this section; can be repeated; prints and writes nothing
  --update         with --only: writes these sections into the page that is there, and leaves its others
  --output FILE    where the page is written (observer/docs/overhead.md)
Sections: whole, latency, split, counted, alternatives, fastest, tls, foreign, scale, pods, idle";

pub const SECTIONS: [&str; 11] = [
    "whole",
    "latency",
    "split",
    "counted",
    "alternatives",
    "fastest",
    "tls",
    "foreign",
    "scale",
    "pods",
    "idle",
];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    pub quick: bool,
    pub only: Vec<String>,
    pub update: bool,
    pub output: Option<PathBuf>,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--update" => options.update = true,
                "--only" => options.only.push(value()?.clone()),
                "--output" => options.output = Some(value()?.into()),
                _ => bail!("{argument} is no option\n{USAGE}"),
            }
        }
        if let Some(unknown) = options
            .only
            .iter()
            .find(|name| !SECTIONS.contains(&name.as_str()))
        {
            bail!("there is no section {unknown}\n{USAGE}");
        }
        Ok(options)
    }

    pub fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == section)
    }

    /// Whether everything was measured as the page promises.
    pub fn is_whole(&self) -> bool {
        !self.quick && self.only.is_empty()
    }

    /// Whether figures go into the page that is committed, and their curves beside it.
    pub fn is_published(&self) -> bool {
        self.is_whole() || (self.update && !self.quick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said() {
        let check = |arguments: &str, expected: Option<bool>| {
            let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
            let options = Options::parse(&arguments).ok();
            assert_eq!(
                options.map(|options| options.is_published()),
                expected,
                "{arguments:?}"
            );
        };
        check("", Some(true));
        check("--quick", Some(false));
        check("--only idle", Some(false));
        check("--only idle --update", Some(true));
        check("--quick --update", Some(false));
        check("--output x.md", Some(true));
        check("--only idel", None);
        check("--output", None);
        check("now", None);
    }
}
