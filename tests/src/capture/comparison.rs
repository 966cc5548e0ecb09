//! What the applications recorded against what the ring told.

use observer_ebpf::loss::Loss;
use observer_ebpf::record::{Direction, Protocol};

use super::seen::{Connection, Half, Seen};
use super::tap::End;
use super::wire::Recording;

/// The comparison of a whole test, kept short: first differences only.
#[derive(Debug, Default)]
pub struct Verdict {
    pub connections: usize,
    pub frames: usize,
    pub header_bytes: usize,
    pub data_bytes: u64,
    pub differences: Vec<String>,
}

/// Compares all ends; every told frame of every end has to be in the ring, and nothing else.
pub fn compare(ends: &[End], seen: &Seen) -> Verdict {
    let mut verdict = Verdict::default();
    for end in ends {
        verdict.connections += 1;
        let who = format!("{} -> {}", end.local, end.remote);
        let Some(connection) = seen.find(end.local, end.remote) else {
            verdict
                .differences
                .push(format!("{who}: the ring does not know this connection"));
            continue;
        };
        if connection.protocol() != Protocol::Http2 {
            verdict
                .differences
                .push(format!("{who}: taken for {:?}", connection.protocol()));
        }
        verdict.half(&format!("{who} egress"), &end.sent, connection, Direction::Egress);
        verdict.half(
            &format!("{who} ingress"),
            &end.received,
            connection,
            Direction::Ingress,
        );
    }
    verdict
}

impl Verdict {
    fn half(&mut self, who: &str, told: &Recording, connection: &Connection, direction: Direction) {
        let seen = &connection.halves[direction as usize];
        self.frames += told.frames.len();
        self.header_bytes += told.frames.iter().map(|frame| frame.payload.len()).sum::<usize>();
        self.data_bytes += told.data_bytes;
        let Half {
            frames,
            data_bytes,
            gaps,
            missing,
            finished,
            faults,
            ..
        } = seen;
        let mut wrong = |what: String| self.differences.push(format!("{who}: {what}"));
        for fault in faults {
            wrong(fault.clone());
        }
        if !gaps.is_empty() || *missing > 0 {
            wrong(format!("gaps {gaps:?}, {missing} records missing"));
        }
        if !finished {
            wrong("its end was not told".into());
        }
        if let Some(at) =
            (0..told.frames.len().max(frames.len())).find(|at| told.frames.get(*at) != frames.get(*at))
        {
            wrong(format!(
                "{} frames recorded, {} seen; the first difference at {at}: {:?}, seen {:?}",
                told.frames.len(),
                frames.len(),
                told.frames.get(at),
                frames.get(at)
            ));
        }
        if told.data_bytes != *data_bytes {
            wrong(format!(
                "{} bytes of DATA recorded, {data_bytes} seen",
                told.data_bytes
            ));
        }
    }

    /// Prints the sum and fails if anything differed.
    ///
    /// # Panics
    /// That is what it is for.
    #[track_caller]
    pub fn assert(&self, what: &str, losses: &[(Loss, u64)]) {
        println!(
            "{what}: {} ends, {} frames, {} header bytes, {} DATA bytes, losses {losses:?}",
            self.connections, self.frames, self.header_bytes, self.data_bytes
        );
        let shown: Vec<&str> = self.differences.iter().take(12).map(String::as_str).collect();
        assert!(
            self.differences.is_empty(),
            "{what}: {} differences, losses {losses:?}\n  {}",
            self.differences.len(),
            shown.join("\n  ")
        );
        assert!(
            self.connections > 0 && self.frames > 0,
            "{what}: nothing was compared"
        );
    }
}
