//! How far a large file is read, for who waits for it.

use std::io::Write;

/// Files below this take no time worth a line.
const MIN_BYTES: u64 = 4 << 20;

/// Packets between two looks; a packet takes about a microsecond.
const EVERY: u64 = 50_000;

#[derive(Debug)]
pub(super) struct Progress {
    /// `None`: nothing is shown.
    total: Option<u64>,
    packets: u64,
    shown: Option<u64>,
}

impl Progress {
    /// `total`: bytes of the file, where that is known and somebody is looking.
    pub(super) fn new(total: Option<u64>) -> Self {
        Self {
            total: total.filter(|&total| total >= MIN_BYTES),
            packets: 0,
            shown: None,
        }
    }

    pub(super) fn packet(&mut self, offset: u64, err: &mut impl Write) {
        self.packets += 1;
        let Some(total) = self.total.filter(|_| self.packets.is_multiple_of(EVERY)) else {
            return;
        };
        let percent = offset.min(total) * 100 / total;
        if self.shown != Some(percent) {
            self.shown = Some(percent);
            let _ = write!(err, "\r{percent:3} %");
            let _ = err.flush();
        }
    }

    /// Takes the line away again.
    pub(super) fn finish(&self, err: &mut impl Write) {
        if self.shown.is_some() {
            let _ = write!(err, "\r     \r");
        }
    }
}
