//! How a connection gets its name, and waits for it, and takes on a better one.

use observer_ebpf::record::{Role, Socket};

use super::cells::labels;
use super::{ANNOUNCING, Asked, Connection, Desk, Name, UNANNOUNCED_IDLE};
use crate::attribution::{Attributed, Resolution, Source};
use crate::metrics::Recorder;
use crate::pipeline::Naming;
use crate::pipeline::waiting::Waiting;
use crate::session::{CallEvent, Side};

impl Connection {
    #[inline(never)]
    pub(super) fn wait_for_name(
        &mut self,
        events: &mut Vec<CallEvent>,
        cookie: u64,
        desk: &mut Desk<'_, impl Naming>,
    ) {
        if matches!(self.name, Name::Unasked) {
            self.name = Name::Pending(Waiting::default());
            if self.announced {
                self.ask(cookie, desk);
            }
        }
        match &mut self.name {
            Name::Known(_) => self.tell(events, desk.recorder),
            Name::Pending(waiting) => {
                let counted = |event: &&CallEvent| waiting.count(event, desk.recorder, desk.waiting);
                let kept = events.iter().take_while(counted).count();
                if kept < events.len() {
                    events.drain(..kept);
                    self.wait_no_longer(events, desk);
                }
                events.clear();
            }
            Name::Unasked => {}
        }
    }

    /// There is no room to wait. Calls that nobody can be named for are counted as such; to leave some out would
    /// part beginnings from ends.
    fn wait_no_longer(&mut self, events: &mut Vec<CallEvent>, desk: &mut Desk<'_, impl Naming>) {
        let nobody = desk.naming.nobody(&self.socket());
        self.asked = Asked::InVain;
        self.named(nobody, desk.recorder, desk.waiting);
        self.tell(events, desk.recorder);
    }

    /// The `Socket` record has come late, or is not waited for any more.
    pub(in crate::pipeline) fn announce(&mut self, cookie: u64, desk: &mut Desk<'_, impl Naming>) {
        if self.asked == Asked::Never && matches!(self.name, Name::Pending(_)) {
            self.ask(cookie, desk);
        }
    }

    /// Whether it has waited for its `Socket` record for so long that none will come.
    pub(in crate::pipeline) const fn is_unannounced(&self, now: u64) -> bool {
        !self.announced && matches!(self.asked, Asked::Never) && now.saturating_sub(self.born) >= ANNOUNCING
    }

    /// Whether it may have ended before it was taken on.
    pub(in crate::pipeline) fn is_doubtful(&self, now: u64) -> bool {
        !self.announced
            && now.saturating_sub(self.seen) >= UNANNOUNCED_IDLE
            && self.open_streams() == 0
            && !self.waits_for_name()
    }

    /// Whether there may be a better name: it was nobody's for want of room, or is only the UID of a pod that no list
    /// had yet, because the API server was away when it was asked for. A connection may last for days.
    pub(in crate::pipeline) fn is_provisional(&self, version: u64) -> bool {
        let by_uid = |name: &Attributed| name.identity.source == Source::PodUid;
        let unlisted = self.version != version && matches!(&self.name, Name::Known(name) if by_uid(name));
        self.renamed.is_none() && (unlisted || self.asked == Asked::InVain && self.announced)
    }

    /// Asks once more; the answer is from memory or comes to [`Self::named`].
    pub(in crate::pipeline) fn ask_again(
        &mut self,
        cookie: u64,
        version: u64,
        desk: &mut Desk<'_, impl Naming>,
    ) {
        self.version = version;
        let refused = self.asked == Asked::InVain;
        match desk.naming.renew(cookie, &self.socket(), desk.now, refused) {
            Resolution::Known(attributed) => {
                self.asked = Asked::Once;
                self.named(attributed, desk.recorder, desk.waiting);
            }
            Resolution::Pending => self.asked = Asked::Once,
            Resolution::Refused(_) => {}
        }
    }

    /// Takes on the better name. Calls are counted under one name from beginning to end, so not while one is open.
    pub(super) fn rename(&mut self, recorder: &mut Recorder) {
        if self.renamed.is_none() || self.open_streams() > 0 {
            return;
        }
        if let Some(attributed) = self.renamed.take() {
            let Some(mut before) = std::mem::take(&mut self.cells).service else {
                self.name = Name::Known(attributed);
                return;
            };
            before.connection_closed(recorder);
            // It stays open, whether there will be another call or not.
            let mut service = recorder.service(&labels(&attributed));
            service.connection_opened(recorder);
            self.cells.service = Some(service);
            self.name = Name::Known(attributed);
        }
    }

    /// The answer to what `ask` asked.
    pub(in crate::pipeline) fn named(
        &mut self,
        attributed: Attributed,
        recorder: &mut Recorder,
        total: &mut usize,
    ) {
        if let Name::Known(before) = &self.name {
            // A name is not taken away because there is none now: the process may have ended.
            if *before != attributed && attributed.identity.source != Source::Unknown {
                self.renamed = Some(attributed);
                self.rename(recorder);
            }
            return;
        }
        let before = std::mem::replace(&mut self.name, Name::Known(attributed));
        if let Name::Pending(waiting) = before {
            for (method, backlog) in waiting.take(total) {
                if let Some(cells) = self.cells(method, recorder) {
                    cells.absorb(recorder, &backlog);
                }
            }
        }
    }

    fn ask(&mut self, cookie: u64, desk: &mut Desk<'_, impl Naming>) {
        self.asked = Asked::Once;
        let socket = self.socket();
        match desk.naming.resolve(cookie, &socket, desk.now) {
            Resolution::Known(attributed) => self.named(attributed, desk.recorder, desk.waiting),
            Resolution::Pending => {}
            Resolution::Refused(nobody) => {
                self.asked = Asked::InVain;
                self.named(nobody, desk.recorder, desk.waiting);
            }
        }
    }

    /// What is known of the socket.
    fn socket(&self) -> Socket {
        let mut socket = self.socket;
        if let Some(side) = self.side() {
            // What the traffic shows is worth more than what the kernel saw, which may be nothing.
            socket.role = match side {
                Side::Server => Role::Passive,
                Side::Client => Role::Active,
            } as u8;
        }
        socket
    }
}
