//! Section after section, into one page.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::options::Options;
use super::page::{Page, Row};
use super::pair::{Load, Pair, SATURATED, SEQUENTIAL};
use super::whole::{self, Site};
use super::{alternative, encrypted, fastest, foreign, latency, pods, resident, ring, scale};
use crate::observer;
use crate::prerequisite::Error;
use crate::workload::{Language, Program, go, python, rust};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    /// Of one run.
    pub time: Duration,
    pub idle: Duration,
    pub pings: u32,
    /// Of the fastest server.
    pub fast_calls: u32,
}

const WHOLE: Effort = Effort {
    rounds: 12,
    time: Duration::from_millis(1_200),
    idle: Duration::from_secs(30),
    pings: 100_000,
    fast_calls: 400_000,
};
const QUICK: Effort = Effort {
    rounds: 4,
    time: Duration::from_millis(700),
    idle: Duration::from_secs(5),
    pings: 20_000,
    fast_calls: 100_000,
};

const LANGUAGES: [Language; 3] = [Language::Go, Language::Rust, Language::Python];
const LOADS: [Load; 2] = [SEQUENTIAL, SATURATED];

type Section = fn(&mut Bench) -> Result<()>;
type WithMetrics = fn() -> Result<Program, Error>;

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
        page: Page::new(effort.rounds),
        site: Site::open()?,
        options,
        effort,
        programs,
        missing,
    };
    bench.sections();
    bench.finish()
}

/// The page that is committed, and what `cargo xtask bench --guest` has written down.
const PAGE: &str = "../observer/docs/overhead.md";
const COUNTED: &str = "../observer/benches/whole_call.txt";

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

impl Bench {
    fn sections(&mut self) {
        let sections: [(&str, Section); 11] = [
            ("whole", Self::whole),
            ("counted", Self::counted),
            ("latency", Self::latency),
            ("split", Self::split),
            ("alternatives", Self::alternatives),
            ("fastest", Self::fastest),
            ("tls", Self::encrypted),
            ("foreign", Self::foreign),
            ("scale", Self::scale),
            ("pods", Self::pods),
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
        println!("{}", self.page.text());
        self.site.close()?;
        let options = self.options;
        let update = options.is_published() && !options.is_whole();
        let output = options
            .is_published()
            .then(|| here(PAGE))
            .filter(|_| options.output.is_none())
            .or(options.output);
        let text = if update {
            self.page.into_update(&std::fs::read_to_string(here(PAGE))?)
        } else {
            self.page.text().to_owned()
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
        let instrumented: [(Language, &str, WithMetrics); 3] = [
            (
                Language::Python,
                "interceptor with prometheus_client",
                python::with_metrics,
            ),
            (Language::Go, "interceptors with client_golang", go::with_metrics),
            (
                Language::Rust,
                "tower layer with the crate prometheus",
                rust::with_metrics,
            ),
        ];
        for (language, what, with) in instrumented {
            let Some(plain) = self.programs.iter().find(|program| program.language == language) else {
                continue;
            };
            progress(&format!("{language} server, {what}"));
            match with() {
                Ok(with) => rows.push(Row {
                    name: format!("{language} server, {what}"),
                    load: SATURATED.name,
                    turns: alternative::instrumented(&self.site, [plain, &with], SATURATED, rounds, time)?,
                }),
                Err(error) => self.missing.push(format!("{what}: {error}")),
            }
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

    fn counted(&mut self) -> Result<()> {
        let file = here(COUNTED);
        let figures = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        self.page.counted(&figures);
        Ok(())
    }

    fn latency(&mut self) -> Result<()> {
        let Effort { rounds, time, .. } = self.effort;
        let mut rows = Vec::new();
        for program in &self.programs {
            progress(&format!("latency, {}", program.language));
            match latency::measure(&self.site, program, rounds, time) {
                Ok(latencies) => rows.push((program.language.to_string(), latencies)),
                Err(error) => self
                    .missing
                    .push(format!("latency of {}: {error:#}", program.language)),
            }
        }
        ensure!(!rows.is_empty(), "of no program");
        self.page.latency(&rows);
        Ok(())
    }

    fn fastest(&mut self) -> Result<()> {
        progress("the fastest server");
        let Effort {
            rounds, fast_calls, ..
        } = self.effort;
        match fastest::measure(&self.site, rounds, fast_calls) {
            Ok(turns) => self.page.fastest(&[Row {
                name: "pajamax, from h2load".into(),
                load: "100 calls at once",
                turns,
            }]),
            Err(Error::Missing(reason)) => self.missing.push(reason),
            Err(error) => return Err(anyhow::anyhow!(error)),
        }
        Ok(())
    }

    fn pods(&mut self) -> Result<()> {
        let rust = self
            .programs
            .iter()
            .find(|program| program.language == Language::Rust);
        let Some(program) = rust else { return Ok(()) };
        let body = pods::measure(program, &self.options)?;
        self.page.add(pods::TITLE, pods::WORDS, &body);
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
