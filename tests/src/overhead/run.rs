//! Section after section, into one page.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::options::Options;
use super::page::{Page, Row};
use super::pair::{Load, Pair, SATURATED, SEQUENTIAL};
use super::whole::{self, Site};
use super::{alternative, encrypted, foreign, resident, ring, scale};
use crate::observer;
use crate::prerequisite::Error;
use crate::workload::{Language, Program, python};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    /// Of one run.
    pub time: Duration,
    pub idle: Duration,
    pub pings: u32,
}

const WHOLE: Effort = Effort {
    rounds: 12,
    time: Duration::from_millis(1_200),
    idle: Duration::from_secs(30),
    pings: 100_000,
};
const QUICK: Effort = Effort {
    rounds: 4,
    time: Duration::from_millis(700),
    idle: Duration::from_secs(5),
    pings: 20_000,
};

const LANGUAGES: [Language; 3] = [Language::Go, Language::Rust, Language::Python];
const LOADS: [Load; 2] = [SEQUENTIAL, SATURATED];

type Section = fn(&mut Bench) -> Result<()>;

struct Bench {
    options: Options,
    effort: Effort,
    site: Site,
    page: Page,
    programs: Vec<Program>,
    missing: Vec<String>,
}

pub fn run(options: Options) -> Result<ExitCode> {
    observer::prepare().map_err(|error| anyhow::anyhow!(error))?;
    let effort = if options.quick { QUICK } else { WHOLE };
    let mut missing = Vec::new();
    let programs = LANGUAGES.into_iter().filter_map(|language| {
        let prepared = language.prepare().with_context(|| language.to_string());
        prepared.map_err(|error| missing.push(format!("{error:#}"))).ok()
    });
    let programs = programs.collect();
    let mut bench = Bench {
        page: Page::new(&command(&options), effort.rounds),
        site: Site::open()?,
        options,
        effort,
        programs,
        missing,
    };
    bench.sections();
    bench.finish()
}

fn command(options: &Options) -> String {
    let quick = if options.quick { " --quick" } else { "" };
    let only = options.only.iter().map(|name| format!(" --only {name}"));
    format!("cargo xtask bench --overhead{quick}{}", only.collect::<String>())
}

impl Bench {
    fn sections(&mut self) {
        let sections: [(&str, Section); 7] = [
            ("whole", Self::whole),
            ("split", Self::split),
            ("alternatives", Self::alternatives),
            ("tls", Self::encrypted),
            ("foreign", Self::foreign),
            ("scale", Self::scale),
            ("idle", Self::idle),
        ];
        for (name, section) in sections {
            if self.options.wants(name) {
                // What was measured so far may have taken half an hour.
                if let Err(error) = section(self) {
                    self.missing.push(format!("{name}: {error:#}"));
                }
            }
        }
        self.page.missing(&self.missing);
    }

    fn finish(self) -> Result<ExitCode> {
        let text = self.page.text();
        println!("{text}");
        self.site.close()?;
        let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../observer/docs/overhead.md");
        let output = match self.options.output {
            Some(path) => Some(path),
            None => self.options.is_whole().then_some(default),
        };
        if let Some(path) = output {
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
            println!("written to {}", path.display());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn whole(&mut self) -> Result<()> {
        let mut rows = Vec::new();
        for (program, load) in each(&self.programs) {
            progress(&format!("{}, {}", program.language, load.name));
            let Effort { rounds, time, .. } = self.effort;
            let turns = whole::observed(&self.site, Pair::both(program), load, rounds, time)?;
            rows.push(Row {
                name: program.language.to_string(),
                load: load.name,
                turns,
            });
        }
        self.page.whole(&rows);
        Ok(())
    }

    fn split(&mut self) -> Result<()> {
        let mut rows = Vec::new();
        for (program, load) in each(&self.programs) {
            progress(&format!("ring, {}, {}", program.language, load.name));
            let counted = ring::count(Pair::both(program), load)?;
            rows.push((program.language.to_string(), load.name, counted));
        }
        self.page.split(&rows);
        Ok(())
    }

    fn alternatives(&mut self) -> Result<()> {
        let Effort { rounds, time, .. } = self.effort;
        let mut rows = Vec::new();
        let python = self
            .programs
            .iter()
            .find(|program| program.language == Language::Python);
        match (python, python::with_metrics()) {
            (Some(plain), Ok(with)) => {
                progress("interceptors in grpcio");
                rows.push(Row {
                    name: "grpcio server, interceptor with prometheus_client".into(),
                    load: SATURATED.name,
                    turns: alternative::instrumented(&self.site, [plain, &with], SATURATED, rounds, time)?,
                });
            }
            (_, Err(error)) => self.missing.push(error.to_string()),
            (None, Ok(_)) => {}
        }
        for program in &self.programs {
            progress(&format!("tcpdump, {}", program.language));
            match alternative::captured(&self.site, program, SATURATED, rounds, time) {
                Ok(turns) => rows.push(Row {
                    name: format!("{}, tcpdump to /dev/null", program.language),
                    load: SATURATED.name,
                    turns,
                }),
                Err(error) => self.missing.push(error.to_string()),
            }
        }
        self.page.alternatives(&rows);
        Ok(())
    }

    fn encrypted(&mut self) -> Result<()> {
        let Effort { rounds, time, .. } = self.effort;
        let mut rows = Vec::new();
        for language in encrypted::LANGUAGES {
            let program = match encrypted::program(language) {
                Ok(program) => program,
                Err(error) => {
                    self.missing.push(format!("{error:#}"));
                    continue;
                }
            };
            for load in LOADS {
                progress(&format!("TLS, {language}, {}", load.name));
                rows.push(Row {
                    name: language.to_string(),
                    load: load.name,
                    turns: encrypted::measure(&self.site, &program, load, rounds, time)?,
                });
            }
        }
        self.page.encrypted(&rows);
        Ok(())
    }

    fn foreign(&mut self) -> Result<()> {
        progress("bulk transfer");
        let Effort { rounds, pings, .. } = self.effort;
        let mut rows = vec![Row {
            name: "bulk transfer over loopback".into(),
            load: "",
            turns: foreign::bulk(&self.site, rounds)?,
        }];
        progress("redis");
        match foreign::redis(&self.site, rounds, pings) {
            Ok(turns) => rows.push(Row {
                name: "Redis, one connection, PING".into(),
                load: "",
                turns,
            }),
            Err(Error::Missing(reason)) => self.missing.push(reason),
            Err(error) => return Err(anyhow::anyhow!(error)),
        }
        self.page.foreign(&rows);
        Ok(())
    }

    fn scale(&mut self) -> Result<()> {
        scale::measure(&self.options, &self.programs, &mut self.page)
    }

    fn idle(&mut self) -> Result<()> {
        progress("idle");
        let after = resident::measure(&self.site.observer, self.effort.idle)?;
        let fresh = Site::open()?;
        let begun = resident::measure(&fresh.observer, self.effort.idle)?;
        fresh.close()?;
        self.page
            .idle(&[("its start", begun), ("all the traffic above", after)]);
        Ok(())
    }
}

fn each(programs: &[Program]) -> impl Iterator<Item = (&Program, Load)> {
    programs
        .iter()
        .flat_map(|program| LOADS.map(|load| (program, load)))
}

fn progress(what: &str) {
    eprintln!("measuring: {what}");
}
