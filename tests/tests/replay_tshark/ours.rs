//! The calls of a capture by the replay's records and the daemon's sessions.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use observer::event::decode_socket;
use observer::replay::capture::Capture;
use observer::replay::{Sink, records};
use observer::session::{CallEvent, Session, Side, Status};
use observer_ebpf::loss::Loss;
use observer_ebpf::record::{Kind, Record};

use super::Key;

#[derive(Debug, Default)]
pub struct Ours {
    /// Path and status.
    pub calls: BTreeMap<Key, (String, Status)>,
    pub connections_open: usize,
    pub lost: Vec<String>,
    sessions: HashMap<u64, (Session, u16)>,
    events: Vec<CallEvent>,
}

/// Decodes as much of the file as there is.
pub fn calls(file: &Path) -> Ours {
    let mut ours = Ours::default();
    let mut capture = Capture::open(BufReader::new(File::open(file).unwrap())).unwrap();
    records(&mut capture, &mut ours, |_| ());
    ours.connections_open = ours
        .sessions
        .values()
        .filter(|(session, _)| !session.is_closed())
        .count();
    ours
}

impl Sink for Ours {
    fn record(&mut self, record: &Record, payload: &[u8]) {
        if record.kind == Kind::Socket as u8 {
            let socket = decode_socket(payload).unwrap();
            let begun = || (Session::new(socket.joined != 0), socket.remote_port);
            self.sessions.entry(record.connection).or_insert_with(begun);
        }
        let Some((session, port)) = self.sessions.get_mut(&record.connection) else {
            return;
        };
        session.on_record(record, payload, &mut self.events);
        for event in self.events.drain(..) {
            if let CallEvent::Ended(ended) = event {
                assert_eq!(session.side(), Some(Side::Server));
                let path = String::from_utf8_lossy(session.method(ended.method)).into_owned();
                let before = self
                    .calls
                    .insert((*port, ended.stream.number()), (path, ended.status));
                assert_eq!(before, None, "a call ended twice: {ended:?}");
            }
        }
        let losses = std::mem::take(session.losses());
        if losses.gaps
            + losses.resyncs
            + losses.broken_frames
            + losses.malformed_blocks
            + losses.unknown_fields
            > 0
        {
            self.lost.push(format!("{losses:?}"));
        }
    }

    fn lost(&mut self, loss: Loss) {
        self.lost.push(loss.name().to_owned());
    }
}
