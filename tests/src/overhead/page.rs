//! The page: measured figures as tables, and beside them only what they are.

use std::fmt::Write as _;

use super::alternative;
use super::encrypted;
use super::latency::{Latencies, Latency};
use super::machine;
use super::resident::Resident;
use super::ring::PerCall;
use super::whole::Turns;

/// A page that grows with each section.
#[derive(Debug)]
pub struct Page(String);

/// A row of observed pairs: what was measured, and how it was loaded.
#[derive(Debug)]
pub struct Row<'a> {
    pub name: String,
    pub load: &'a str,
    pub turns: Turns,
}

impl Page {
    pub fn new(rounds: usize) -> Self {
        Self(format!(
            "# What it costs to be observed\n\n\
             Written by `cargo xtask bench --overhead`; do not edit. {}; other work ran beside, as much as each section says.\n\n\
             CPU is what the kernel accounted to the processes concerned (server, client, observer), with the softirqs in \
             which loopback packets, and the kernel programs, are run{}. Runs without and with took turns, {rounds} times where \
             nothing else is said; the middle one is given and, in brackets, between what the middle half of them lay. Server, \
             client and observer share one machine: both sockets of every call are observed. The programs (`tests/workloads`) \
             count their own calls, 16 bytes each way.\n",
            machine::describe(),
            match super::cpu::is_irq_apart() {
                Some(true) => ", as far as they are not accounted apart (CONFIG_IRQ_TIME_ACCOUNTING)",
                _ => "",
            }
        ))
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// Begins a section, when its figures are there: what wanted a CPU in the minute before was there with them.
    fn heading(&mut self, title: &str, words: &str) {
        let _ = write!(
            self.0,
            "\n## {title}\n\n{words} Measured on {}, while {} processes wanted a CPU.\n\n",
            machine::date(),
            machine::load()
        );
    }

    /// The page that was, with the head and the sections of this one in the place of its own; new ones come last.
    pub fn into_update(self, of: &str) -> String {
        let (head, mut new) = sections(&self.0);
        let (_, old) = sections(of);
        let mut text = head.trim_end().to_owned();
        for (title, body) in old {
            // What was lacking then may be there now; if it was of another section, that has no figures.
            if title == NOT_MEASURED {
                continue;
            }
            let place = new.iter().position(|(known, _)| *known == title);
            let body = place.map_or(body, |place| new.remove(place).1);
            let _ = write!(text, "\n\n{}", body.trim_end());
        }
        for (_, body) in new {
            let _ = write!(text, "\n\n{}", body.trim_end());
        }
        text + "\n"
    }

    /// Instructions of a call, from the lines that `cargo xtask bench --guest` has written down.
    pub fn counted(&mut self, figures: &str) {
        let mut lines = figures.lines();
        let machine = lines
            .next()
            .and_then(|line| line.strip_prefix("# "))
            .unwrap_or_default();
        self.heading(
            "A whole call, in instructions",
            &format!(
                "Of the whole of an emulated machine with one processor, whose clock counts instructions: the kernel, server, client \
                 and daemon, for a unary call of which both ends are observed; and for 64 KiB of a bulk transfer. Repeats to the \
                 instruction with the same programs, and the `exchange` (plain sockets that carry the bytes of calls) does with any: `cargo xtask test` guards it. Written down by `cargo xtask bench --guest`; {machine}. \
                 Nothing is said of caches: an instruction is an instruction. What *programs* add is measured with nobody \
                 who reads the ring."
            ),
        );
        self.head(&[
            "what",
            "at once",
            "without",
            "more",
            "% more",
            "of it kernel programs",
            "of it daemon",
        ]);
        for line in lines.filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, at_once, without, programs, with, daemon] = words.as_slice() else {
                continue;
            };
            let number = |word: &str| word.parse::<f64>().unwrap_or(f64::NAN);
            let (bare, all) = (number(without), number(with));
            self.line(&[
                (*name).to_owned(),
                (*at_once).to_owned(),
                (*without).to_owned(),
                format!("{:.0}", all - bare),
                format!("{:.1}", 100.0 * (all / bare - 1.0)),
                format!("{:.0}", number(programs) - bare),
                (*daemon).to_owned(),
            ]);
        }
    }

    pub fn latency(&mut self, rows: &[(String, Latencies)]) {
        self.heading(
            "How much longer a call takes",
            "At half of the rate of 100 calls at once: calls begin by the clock, on eight connections, and are timed from when they \
             should have begun. Microseconds that the middle and the slowest hundredth of calls take without the observer; what it \
             is more with it; and, as a measure of that, what it is more in a second run without it.",
        );
        self.head(&[
            "implementation",
            "calls/s",
            "p50",
            "p50 more",
            "p50 more, without twice",
            "p99",
            "p99 more",
            "p99 more, without twice",
        ]);
        for (name, latencies) in rows {
            let show = |figure: fn(&[Latency; 3]) -> f64| {
                latencies
                    .spread(figure)
                    .map_or_else(String::new, |spread| spread.show(0))
            };
            self.line(&[
                name.clone(),
                latencies.rate.to_string(),
                show(|[a, _, _]| a.p50),
                show(|[a, _, with]| with.p50 - a.p50),
                show(|[a, b, _]| b.p50 - a.p50),
                show(|[a, _, _]| a.p99),
                show(|[a, _, with]| with.p99 - a.p99),
                show(|[a, b, _]| b.p99 - a.p99),
            ]);
        }
    }

    pub fn fastest(&mut self, rows: &[Row<'_>]) {
        self.heading(
            "The worst case",
            "A server that does nearly nothing for a call (`pajamax`: no runtime, answers written together), asked by h2load: \
             observing is most of what such a call costs.",
        );
        self.observed(rows);
    }

    fn line(&mut self, cells: &[String]) {
        let _ = writeln!(self.0, "| {} |", cells.join(" | "));
    }

    fn head(&mut self, names: &[&str]) {
        self.line(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        self.line(&vec!["---".to_owned(); names.len()]);
    }

    pub fn whole(&mut self, rows: &[Row<'_>]) {
        self.heading(
            "A whole call",
            "CPU of server and client for a call without the observer; what it is more with it, the daemon included; and the \
             daemon's part of that.",
        );
        self.observed(rows);
    }

    fn observed(&mut self, rows: &[Row<'_>]) {
        self.head(&[
            "implementation",
            "load",
            "calls a run",
            "1,000 calls/s",
            "µs without",
            "µs more",
            "% more",
            "daemon, µs",
            "daemon wakes/s",
        ]);
        for Row { name, load, turns } in rows {
            self.line(&[
                name.clone(),
                (*load).to_owned(),
                turns.calls().to_string(),
                turns.rate().show(1),
                turns.without().show(1),
                turns.added().show(2),
                turns.share().show(1),
                turns.daemon().show(2),
                turns.wakes().show(0),
            ]);
        }
    }

    pub fn split(&mut self, rows: &[(String, &str, PerCall)]) {
        self.heading(
            "Kernel and ring",
            "Of one call, both sockets together: runs of the kernel programs and their time by the kernel's own counters (which \
             add some 20 ns to each run), and what goes through the ring.",
        );
        self.head(&[
            "implementation",
            "load",
            "program runs",
            "ns in programs",
            "ring records",
            "of them frames",
            "ring bytes",
        ]);
        for (name, load, each) in rows {
            self.line(&[
                name.clone(),
                (*load).to_owned(),
                format!("{:.1}", each.runs),
                format!("{:.0}", each.kernel_nanoseconds),
                format!("{:.2}", each.records),
                format!("{:.2}", each.headers),
                format!("{:.0}", each.bytes),
            ]);
        }
    }

    pub fn alternatives(&mut self, rows: &[Row<'_>]) {
        self.heading("What else there is", alternative::ABOUT);
        self.compared("instead of the observer", rows);
    }

    pub fn encrypted(&mut self, rows: &[Row<'_>]) {
        self.heading("Inside of TLS", encrypted::ABOUT);
        self.compared("programs", rows);
    }

    fn compared(&mut self, what: &str, rows: &[Row<'_>]) {
        self.head(&[what, "load", "µs without", "µs more", "% more"]);
        for Row { name, load, turns } in rows {
            self.line(&[
                name.clone(),
                (*load).to_owned(),
                turns.without().show(1),
                turns.added().show(2),
                turns.share().show(1),
            ]);
        }
    }

    pub fn foreign(&mut self, rows: &[Row<'_>]) {
        self.heading(
            "What is no gRPC",
            "The same for traffic that the observer looks at and leaves alone. A unit is 64 KiB of the bulk transfer, or one PING \
             and its answer.",
        );
        self.head(&[
            "traffic",
            "units a run",
            "1,000 units/s",
            "µs without",
            "µs more",
            "% more",
        ]);
        for Row { name, turns, .. } in rows {
            self.line(&[
                name.clone(),
                turns.calls().to_string(),
                turns.rate().show(1),
                turns.without().show(2),
                turns.added().show(3),
                turns.share().show(1),
            ]);
        }
    }

    pub fn idle(&mut self, rows: &[(&str, Resident)]) {
        self.heading(
            "At rest",
            "The daemon with no traffic in its cgroup. Resident memory counts the ring, which is mapped twice in a row, twice.",
        );
        self.head(&[
            "after",
            "% of a CPU",
            "wakes/s",
            "resident, MiB",
            "of it its own, MiB",
            "most so far, MiB",
        ]);
        for (name, resident) in rows {
            self.line(&[
                (*name).to_owned(),
                format!("{:.3}", resident.cpu),
                format!("{:.1}", resident.wakes),
                mebibytes(resident.all),
                mebibytes(resident.own),
                mebibytes(resident.most),
            ]);
        }
    }

    pub fn missing(&mut self, reasons: &[String]) {
        if reasons.is_empty() {
            return;
        }
        self.heading(NOT_MEASURED, "What this machine lacked:");
        for reason in reasons {
            let _ = writeln!(self.0, "- {}", shortly(reason));
        }
    }

    pub fn add(&mut self, title: &str, words: &str, body: &str) {
        self.heading(title, words);
        self.0.push_str(body);
    }
}

const NOT_MEASURED: &str = "Not measured";

/// What was not measured, and the last that was said about it: between the two are commands, with this machine's paths.
fn shortly(reason: &str) -> String {
    match (reason.lines().next_back(), reason.split_once(": ")) {
        (Some(last), Some((what, _))) if last != reason => {
            format!("{what}: {}", last.trim_start_matches([' ', '|']))
        }
        _ => reason.to_owned(),
    }
}

/// What is before the first section, and each section with its title.
fn sections(text: &str) -> (&str, Vec<(&str, &str)>) {
    const MARK: &str = "## ";
    let mut starts: Vec<usize> = text.match_indices("\n## ").map(|(at, _)| at + 1).collect();
    let head = text
        .get(..starts.first().copied().unwrap_or(text.len()))
        .unwrap_or(text);
    starts.push(text.len());
    let sections = starts.windows(2).filter_map(|pair| {
        let body = text.get(*pair.first()?..*pair.get(1)?)?;
        let title = body.lines().next()?.strip_prefix(MARK)?;
        Some((title, body))
    });
    (head, sections.collect())
}

#[expect(clippy::cast_precision_loss, reason = "KiB of a process")]
pub fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1}", kibibytes as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_without_commands() {
        let of_a_program = "latency of x: /a/b/client 127.0.0.1 has ended\n  | client: refused\n  | too much";
        assert_eq!(shortly(of_a_program), "latency of x: too much");
        assert_eq!(shortly("redis: there is none"), "redis: there is none");
    }

    #[test]
    fn sections_take_the_place_of_older_ones() {
        let old = "# Page\n\nWords.\n\n## One\n\nold\n\n## Two\n\nold\n";
        let new = "# Page\n\nOthers.\n\n## Two\n\nnew\n\n## Three\n\nnew\n";
        let page = Page(new.to_owned());
        assert_eq!(
            page.into_update(old),
            "# Page\n\nOthers.\n\n## One\n\nold\n\n## Two\n\nnew\n\n## Three\n\nnew\n"
        );
        let page = Page("# Page\n\n## One\n\nnew\n".to_owned());
        assert_eq!(page.into_update("# Page\n"), "# Page\n\n## One\n\nnew\n");
    }
}
