//! The page: measured figures as tables, and beside them only what they are.

use std::fmt::Write as _;

use super::machine;
use super::resident::Resident;
use super::ring::PerCall;
use super::whole::Turns;
use super::{alternative, encrypted};

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
    pub fn new(command: &str, rounds: usize) -> Self {
        Self(format!(
            "# What it costs to be observed\n\n\
             Written by `{command}` on {}; do not edit. {}; {} processes wanted a CPU in the minute before, so other work \
             ran beside.\n\n\
             CPU is what the kernel accounted to the processes concerned (server, client, observer), with the softirqs in \
             which loopback packets, and the kernel programs, are run{}. Runs without and with took turns, {rounds} times; \
             the middle one is given and, in brackets, between what the middle half of them lay. Server, client and observer \
             share one machine: both sockets of every call are observed. The programs (`tests/workloads`) count their own \
             calls, 16 bytes each way.\n",
            machine::date(),
            machine::describe(),
            machine::load(),
            match super::cpu::is_irq_apart() {
                Some(true) => ", as far as they are not accounted apart (CONFIG_IRQ_TIME_ACCOUNTING)",
                _ => "",
            }
        ))
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    fn heading(&mut self, title: &str, words: &str) {
        let _ = write!(self.0, "\n## {title}\n\n{words}\n\n");
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
        self.heading("Not measured", "What this machine lacked:");
        for reason in reasons {
            let _ = writeln!(self.0, "- {reason}");
        }
    }

    pub fn add(&mut self, title: &str, words: &str, body: &str) {
        self.heading(title, words);
        self.0.push_str(body);
    }
}

#[expect(clippy::cast_precision_loss, reason = "KiB of a process")]
pub fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1}", kibibytes as f64 / 1024.0)
}
