//! One captured connection: both directions of it as one socket, the server's, would see them.

use observer_ebpf::loss::Loss;
use observer_ebpf::record::{Close, Direction, Protocol, Role, Socket};
use observer_ebpf::walker::slice::Slice;
use observer_ebpf::walker::{PREFACE, Shared, Walk, What, phase, step_frames, step_outside};

use super::half::{Half, Piece, behind};
use super::packet::{ACK, Endpoint, FIN, RST, SYN, Segment};
use super::told::{self, Sink};

/// A reset is believed this far behind the end of what was seen: a window.
const MAX_RESET_AHEAD: u32 = 1 << 24;
/// Begins every connection of an HTTP/2 client, and nothing else.
const PREFACE_BEGIN: usize = 14;

#[derive(Debug)]
pub(super) struct Connection {
    cookie: u64,
    server: Endpoint,
    client: Endpoint,
    role: Role,
    shared: Shared,
    announced: bool,
    /// Ingress is what the server receives.
    halves: [Half; 2],
    /// First sequence number of the client, where its SYN was seen.
    begun: Option<u32>,
    over: bool,
    seen: u64,
}

impl Connection {
    /// The connection that a segment belongs to; `None`: nothing can be learned from it.
    pub(super) fn new(cookie: u64, segment: &Segment<'_>, time: u64) -> Option<Self> {
        let syn = segment.flags & SYN != 0;
        if !syn && segment.length == 0 {
            return None;
        }
        let answer = syn && segment.flags & ACK != 0;
        let preface = !syn
            && segment
                .payload
                .get(..PREFACE_BEGIN)
                .is_some_and(|begin| PREFACE.starts_with(begin));
        // Where nothing says who is the client, servers have the smaller numbers.
        let from_client = if syn {
            !answer
        } else {
            preface || segment.from.port > segment.to.port
        };
        let (client, server) = if from_client {
            (segment.from, segment.to)
        } else {
            (segment.to, segment.from)
        };
        let known = syn || preface;
        let mut connection = Self {
            cookie,
            server,
            client,
            role: if known { Role::Passive } else { Role::Unknown },
            shared: Shared {
                joined: u8::from(!known),
                ..Shared::default()
            },
            announced: false,
            halves: [Half::default(), Half::default()],
            begun: (syn && !answer).then_some(segment.sequence),
            over: false,
            seen: time,
        };
        if preface || answer {
            let direction = connection.direction(segment);
            connection
                .half(direction.other())
                .begin(Walk::from_start(segment.acknowledged));
        }
        if known {
            let direction = connection.direction(segment);
            connection
                .half(direction)
                .begin(Walk::from_start(segment.sequence.wrapping_add(u32::from(syn))));
        }
        Some(connection)
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.halves.iter().map(Half::held_bytes).sum()
    }

    /// Whether the segment begins another connection between the same two ends.
    pub(super) fn is_succeeded(&self, segment: &Segment<'_>) -> bool {
        let begins = segment.flags & (SYN | ACK) == SYN;
        begins && (self.begun != Some(segment.sequence) || self.over)
    }

    pub(super) fn segment(&mut self, segment: &Segment<'_>, time: u64, sink: &mut impl Sink) {
        if self.over {
            return;
        }
        self.seen = time;
        let direction = self.direction(segment);
        self.acknowledge(direction.other(), segment);
        let start = segment.sequence.wrapping_add(u32::from(segment.flags & SYN != 0));
        if segment.flags & RST != 0 {
            self.reset(direction, start, time, sink);
        } else if self.shared.settled == 0 && (segment.length > 0 || segment.flags & (FIN | SYN) != 0) {
            let piece = Piece {
                start,
                length: segment.length,
                bytes: segment.payload,
                time,
                fin: segment.flags & FIN != 0,
            };
            self.piece(direction, segment.flags & SYN != 0, &piece, sink);
        }
        for direction in [Direction::Ingress, Direction::Egress] {
            if self.half(direction).is_hopeless(time) {
                self.give_up(direction, time, sink);
            }
        }
        if self.shared.settled != 0 && !self.over {
            // Only the name is of interest any more.
            self.halves.iter_mut().for_each(Half::clear);
        }
    }

    /// Nothing more will come.
    pub(super) fn end(&mut self, time: u64, sink: &mut impl Sink) {
        self.drain_all(time, sink);
        if !self.over {
            self.over = true;
            told::gone(self.cookie, time, sink);
        }
    }

    /// Walks what waits, holes or not.
    pub(super) fn drain_all(&mut self, time: u64, sink: &mut impl Sink) {
        for direction in [Direction::Ingress, Direction::Egress] {
            while self.half(direction).holds() {
                self.give_up(direction, time, sink);
            }
        }
    }

    fn direction(&self, segment: &Segment<'_>) -> Direction {
        if segment.from == self.client {
            Direction::Ingress
        } else {
            Direction::Egress
        }
    }

    fn half(&mut self, direction: Direction) -> &mut Half {
        let [ingress, egress] = &mut self.halves;
        match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        }
    }

    /// What the segment says of the direction that comes towards its sender.
    fn acknowledge(&mut self, direction: Direction, segment: &Segment<'_>) {
        if segment.flags & ACK == 0 || segment.flags & RST != 0 {
            return;
        }
        let is_known = self.shared.joined == 0;
        let half = self.half(direction);
        let position = segment.acknowledged;
        if half.is_new() && is_known {
            // Its SYN is not in the capture; this is where it has come to.
            half.begin(Walk::from_start(position));
        }
        if half.acknowledged.is_none_or(|before| behind(position, before)) {
            half.acknowledged = Some(position);
        }
    }

    fn piece(&mut self, direction: Direction, syn: bool, piece: &Piece<'_>, sink: &mut impl Sink) {
        let half = self.half(direction);
        if half.is_new() {
            half.begin(if syn {
                Walk::from_start(piece.start)
            } else {
                Walk::joined(piece.start)
            });
        }
        half.settle_start(piece.start);
        if half.is_next(piece.start) {
            self.walk(direction, piece, sink);
            self.drain(direction, sink);
            return;
        }
        if half.hold(piece) {
            return;
        }
        self.give_up(direction, piece.time, sink);
        // There is room now, if this still has to wait.
        let half = self.half(direction);
        half.settle_start(piece.start);
        if half.is_next(piece.start) {
            self.walk(direction, piece, sink);
            self.drain(direction, sink);
        } else {
            half.hold(piece);
        }
    }

    fn drain(&mut self, direction: Direction, sink: &mut impl Sink) {
        while let Some(held) = self.half(direction).take_next() {
            let piece = held.piece();
            self.half(direction).settle_start(piece.start);
            self.walk(direction, &piece, sink);
        }
    }

    /// What is missing is given up; the walk goes on behind it.
    fn give_up(&mut self, direction: Direction, time: u64, sink: &mut impl Sink) {
        let cookie = self.cookie;
        let half = self.half(direction);
        if let Some(first) = half.first_held()
            && !half.is_next(first)
        {
            told::gap(cookie, direction, &mut half.walk, time, Loss::HoldExceeded, sink);
            half.walk.lose(first);
        }
        self.drain(direction, sink);
    }

    fn reset(&mut self, direction: Direction, start: u32, time: u64, sink: &mut impl Sink) {
        let half = self.half(direction);
        // A forged one, or one of a connection before.
        if !half.is_new() && start.wrapping_sub(half.top) > MAX_RESET_AHEAD {
            return;
        }
        self.drain_all(time, sink);
        let cookie = self.cookie;
        told::closed(
            cookie,
            direction,
            &mut self.half(direction).walk,
            time,
            Close::Reset,
            sink,
        );
        self.over = true;
        told::gone(cookie, time, sink);
    }

    /// Walks a segment that is next.
    fn walk(&mut self, direction: Direction, piece: &Piece<'_>, sink: &mut impl Sink) {
        let source = Slice {
            start: piece.start,
            time: piece.time,
            bytes: piece.bytes,
        };
        // Three steps a byte are more than there can be; see the walker's tests.
        let most = piece.bytes.len() * 3 + 5;
        let is_done = (0..most).any(|_| self.step(direction, &source, sink));
        let cookie = self.cookie;
        let half = self.half(direction);
        if !is_done {
            told::gap(
                cookie,
                direction,
                &mut half.walk,
                piece.time,
                Loss::TooManyFrames,
                sink,
            );
            half.walk.lose(source.start.wrapping_add(piece.length));
        }
        let end = piece.start.wrapping_add(piece.length);
        if !behind(half.walk.next, end) {
            if half.walk.needs_order() {
                // What the capture cut off would have been looked at.
                told::gap(
                    cookie,
                    direction,
                    &mut half.walk,
                    piece.time,
                    Loss::UnreadableSegment,
                    sink,
                );
            }
            if half.walk.phase != phase::IGNORE {
                half.walk.lose(end);
            }
        }
        if behind(end, half.top) {
            half.top = end;
        }
        if piece.fin && !half.finished {
            half.finished = true;
            told::closed(cookie, direction, &mut half.walk, piece.time, Close::Fin, sink);
            if self.halves.iter().all(|half| half.finished) {
                self.over = true;
                told::gone(cookie, piece.time, sink);
            }
        }
    }

    /// One step of the walker, told as the kernel programs would; true: the segment is done.
    fn step(&mut self, direction: Direction, source: &Slice<'_>, sink: &mut impl Sink) -> bool {
        let (cookie, time) = (self.cookie, source.time);
        let in_frames = self.half(direction).walk.in_frames();
        if in_frames && !self.announced {
            self.announce(direction, time, sink);
        }
        let [ingress, egress] = &mut self.halves;
        let (half, other) = match direction {
            Direction::Ingress => (ingress, egress),
            Direction::Egress => (egress, ingress),
        };
        let tell = if in_frames {
            step_frames(&mut half.walk, &mut self.shared, direction, source)
        } else {
            step_outside(&mut half.walk, &mut self.shared, direction, source)
        };
        match tell.what {
            What::Done => return true,
            What::Nothing => {}
            What::Protocol => self.announce(direction, time, sink),
            What::Reopen => other.walk.phase = phase::REOPEN,
            What::Frame | What::Data | What::Gap => {
                let walks = [&mut half.walk, &mut other.walk];
                told::tell(
                    cookie,
                    direction,
                    walks,
                    self.shared,
                    (&tell, source.bytes, time),
                    sink,
                );
            }
        }
        false
    }

    fn announce(&mut self, direction: Direction, time: u64, sink: &mut impl Sink) {
        let Self {
            server,
            client,
            role,
            shared,
            ..
        } = *self;
        self.announced = true;
        let socket = Socket {
            cgroup: 0,
            local: server.address,
            remote: client.address,
            local_port: server.port,
            remote_port: client.port,
            process: 0,
            command: [0; 16],
            protocol: Protocol::from_raw(shared.protocol) as u8,
            role: role as u8,
            joined: shared.joined,
            requests: 0,
            reserved: [0; 4],
        };
        told::announce(
            self.cookie,
            direction,
            &mut self.half(direction).walk,
            time,
            &socket,
            sink,
        );
    }
}

#[cfg(test)]
mod tests;
