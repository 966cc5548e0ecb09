//! One connection: from records to calls.
//!
//! The only place that knows frames, header compression and calls at once. It does no I/O, reads no clock and
//! allocates nothing per call once its tables have grown to what the connection needs.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::as_conversions)]

mod half;
mod loss;
mod recent;
mod sequence;

use observer_ebpf::record::{Close, DataCount, Direction, END_STREAM, Kind, Record};

use self::half::{Half, Headers, Read};
pub use self::loss::SessionLosses;
use crate::event;
use crate::http2::{Broken, Piece, StreamId, TableSize};
pub use crate::rpc::{CallEvent, Ended, MethodIndex, Side, Status};
use crate::rpc::{Calls, Methods, Output, PATH, Sender};

/// How long after the application closed a socket its send queue may still bring ends of calls. Where the
/// connection is older than the observer, no other sign of its end may come.
pub const MAX_LINGER: u64 = 5_000_000_000;

#[derive(Debug)]
pub struct Session {
    ingress: Half,
    egress: Half,
    side: Option<Side>,
    calls: Calls,
    methods: Methods,
    authority: Option<Box<[u8]>>,
    losses: SessionLosses,
    /// When the application closed the socket.
    released: Option<u64>,
    closed: bool,
}

impl Session {
    /// `joined`: the connection is older than the observer.
    #[must_use]
    pub fn new(joined: bool) -> Self {
        Self {
            ingress: Half::new(joined),
            egress: Half::new(joined),
            side: None,
            calls: Calls::new(joined),
            methods: Methods::new(),
            authority: None,
            losses: SessionLosses::default(),
            released: None,
            closed: false,
        }
    }

    /// Takes the next record of the connection, of any kind, in the order in which the kernel wrote them.
    /// `payload` is what follows the head.
    pub fn on_record(&mut self, record: &Record, payload: &[u8], events: &mut Vec<CallEvent>) {
        let direction = Direction::from_raw(record.direction);
        let kind = Kind::from_raw(record.kind);
        if kind != Some(Kind::Closed) || is_numbered(record) {
            let lost = self.half(direction).sequence.step(record.sequence);
            if lost > 0 {
                self.losses.lost_records = self.losses.lost_records.saturating_add(lost);
                self.lose(direction);
            }
        }
        if record.data.stream != 0 {
            self.count(direction, record.data, record.time, events);
        }
        if record.data_other.stream != 0 {
            self.count(direction.other(), record.data_other, record.time, events);
        }
        match kind {
            Some(Kind::Frame) => self.on_piece(direction, &Piece::of(record, payload), events),
            Some(Kind::Data) if record.flags & END_STREAM != 0 => self.on_data_end(direction, record, events),
            Some(Kind::Data) => {}
            Some(Kind::Socket) => self.on_socket(payload),
            Some(Kind::Gap) => {
                self.losses.gaps += 1;
                self.lose(direction);
            }
            Some(Kind::Closed) => self.on_close(direction, record, events),
            None => self.losses.bad_records += 1,
        }
    }

    /// To be called now and then. Gives up calls of which nothing was seen for `idle` nanoseconds
    /// (`_unobserved`), tells the bytes of those that go on, and gives memory back.
    pub fn expire(&mut self, now: u64, idle: u64, events: &mut Vec<CallEvent>) {
        if let Some(released) = self.released
            && now.saturating_sub(released) >= MAX_LINGER
        {
            self.end(released, events);
        }
        self.ingress.recent.release();
        self.egress.recent.release();
        let (calls, mut output) = self.output(events);
        calls.expire(now, idle, &mut output);
    }

    /// The connection is gone, and no record said so.
    pub fn end(&mut self, time: u64, events: &mut Vec<CallEvent>) {
        self.closed = true;
        self.released = None;
        let (calls, mut output) = self.output(events);
        calls.close(time, &mut output);
    }

    /// Whether the connection has ended: nothing more will come, and the session may go.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Which side of its calls the socket is, as soon as anything said so.
    #[must_use]
    pub const fn side(&self) -> Option<Side> {
        self.side
    }

    /// Whether a gRPC call was recognised on the connection.
    #[must_use]
    pub const fn is_grpc(&self) -> bool {
        self.calls.is_grpc()
    }

    /// The path; empty for [`MethodIndex::UNKNOWN`] and [`MethodIndex::OTHER`].
    #[must_use]
    pub fn method(&self, method: MethodIndex) -> &[u8] {
        self.methods.path(method)
    }

    /// The first `:authority` that was seen: the name under which the server is called.
    #[must_use]
    pub fn authority(&self) -> Option<&[u8]> {
        self.authority.as_deref()
    }

    /// What was lost since this was last taken; take it by [`std::mem::take`].
    pub const fn losses(&mut self) -> &mut SessionLosses {
        &mut self.losses
    }

    /// Streams open, gRPC or not.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.calls.open()
    }

    /// Bytes of memory, the session itself included.
    #[must_use]
    pub fn memory(&self) -> usize {
        let authority = self.authority.as_ref().map_or(0, |authority| authority.len());
        let tables = self.calls.memory() + self.methods.memory() + authority;
        size_of::<Self>() + self.ingress.memory() + self.egress.memory() + tables
    }

    const fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Ingress => &mut self.ingress,
            Direction::Egress => &mut self.egress,
        }
    }

    fn output<'a>(&'a mut self, events: &'a mut Vec<CallEvent>) -> (&'a mut Calls, Output<'a>) {
        let Self {
            calls,
            methods,
            losses,
            ..
        } = self;
        (
            calls,
            Output {
                events,
                losses: &mut losses.calls,
                methods,
            },
        )
    }

    /// Who sends in this direction, if that is known.
    const fn sender(&self, direction: Direction) -> Option<Sender> {
        match (self.side, direction) {
            (Some(Side::Server), Direction::Ingress) | (Some(Side::Client), Direction::Egress) => {
                Some(Sender::Client)
            }
            (Some(Side::Server), Direction::Egress) | (Some(Side::Client), Direction::Ingress) => {
                Some(Sender::Server)
            }
            (None, _) => None,
        }
    }

    /// An unknown number of frames of this direction was not seen.
    fn lose(&mut self, direction: Direction) {
        self.losses.resyncs += 1;
        self.half(direction).lose();
        // SETTINGS may have been among them; they are about the other direction.
        self.half(direction.other()).decoder.lose_limit();
        let openings = self.sender(direction) != Some(Sender::Server);
        self.calls.lose(openings);
    }

    fn count(&mut self, direction: Direction, data: DataCount, time: u64, events: &mut Vec<CallEvent>) {
        if data.bytes == 0 {
            return;
        }
        let sender = self.sender(direction);
        let (calls, mut output) = self.output(events);
        if let Some(sender) = sender {
            calls.data(StreamId::new(data.stream), sender, data.bytes, time, &mut output);
        } else {
            let bytes = &mut output.losses.unattributed_bytes;
            *bytes = bytes.saturating_add(u64::from(data.bytes));
        }
    }

    #[inline]
    fn on_piece(&mut self, direction: Direction, piece: &Piece<'_>, events: &mut Vec<CallEvent>) {
        match self.half(direction).recall(piece) {
            Some(headers) => self.on_headers(direction, &headers, piece.time, events),
            None => self.decode_piece(direction, piece, events),
        }
    }

    /// Out of line, so that the way above stays short.
    #[inline(never)]
    fn decode_piece(&mut self, direction: Direction, piece: &Piece<'_>, events: &mut Vec<CallEvent>) {
        let mut outcome = self.read_or_lose(direction, piece);
        // What does not continue the old may begin something new.
        if matches!(outcome, Err(Broken::Piece | Broken::Interleaved)) {
            outcome = self.read_or_lose(direction, piece);
        }
        if let Ok(read) = outcome {
            self.on_read(direction, read, piece.time, events);
        }
    }

    fn read_or_lose(&mut self, direction: Direction, piece: &Piece<'_>) -> Result<Read, Broken> {
        let read = self.read(direction, piece);
        if read.is_err() {
            self.losses.broken_frames += 1;
            self.lose(direction);
        }
        read
    }

    fn read(&mut self, direction: Direction, piece: &Piece<'_>) -> Result<Read, Broken> {
        let Self {
            ingress,
            egress,
            methods,
            authority,
            losses,
            calls,
            ..
        } = self;
        if methods.is_crowded() {
            // What is forgotten may come again under another number.
            ingress.recent.clear();
            egress.recent.clear();
            let tokens = ingress.decoder.tokens(PATH).chain(egress.decoder.tokens(PATH));
            methods.sweep(tokens.chain(calls.methods()));
        }
        let half = match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        };
        half.read(piece, methods, authority, losses)
    }

    fn on_read(&mut self, direction: Direction, read: Read, time: u64, events: &mut Vec<CallEvent>) {
        match read {
            Read::Nothing => {}
            Read::TableSize(size) => {
                let decoder = &mut self.half(direction.other()).decoder;
                match size {
                    TableSize::Announced(size) => decoder.allow(size),
                    TableSize::Unknown => decoder.lose_limit(),
                    TableSize::Unchanged => {}
                }
            }
            Read::Headers(headers) => self.on_headers(direction, &headers, time, events),
            Read::Reset { stream, code } => {
                if let Some(sender) = self.sender(direction) {
                    let (calls, mut output) = self.output(events);
                    calls.reset(stream, code, sender, time, &mut output);
                }
            }
            Read::GoAway { last } => {
                if self.sender(direction) == Some(Sender::Server) {
                    let (calls, mut output) = self.output(events);
                    calls.go_away(last, time, &mut output);
                }
            }
        }
    }

    fn on_headers(
        &mut self,
        direction: Direction,
        headers: &Headers,
        time: u64,
        events: &mut Vec<CallEvent>,
    ) {
        let &Headers {
            stream,
            end_stream,
            begun,
            ref fields,
        } = headers;
        self.losses.unknown_fields = self.losses.unknown_fields.saturating_add(fields.unknown);
        let evidence = match (fields.is_request(), fields.is_response()) {
            (true, false) => Some(Sender::Client),
            (false, true) => Some(Sender::Server),
            // Nothing told, or a block of nobody's making.
            _ => None,
        };
        if let (None, Some(sender)) = (self.side, evidence) {
            self.side = Some(match (sender, direction) {
                (Sender::Client, Direction::Ingress) | (Sender::Server, Direction::Egress) => Side::Server,
                (Sender::Client, Direction::Egress) | (Sender::Server, Direction::Ingress) => Side::Client,
            });
        }
        let Some(sender) = self.sender(direction) else {
            self.losses.undecided_blocks += 1;
            return;
        };
        if evidence.is_some_and(|evidence| evidence != sender) {
            self.losses.contradictions += 1;
            return;
        }
        let (calls, mut output) = self.output(events);
        match sender {
            Sender::Client => calls.request(stream, fields, begun, time, &mut output),
            Sender::Server => calls.response(stream, fields, end_stream, time, &mut output),
        }
    }

    fn on_data_end(&mut self, direction: Direction, record: &Record, events: &mut Vec<CallEvent>) {
        // Nothing may stand between the frames of a header block.
        if self.half(direction).assembly.is_inside_block() {
            self.losses.broken_frames += 1;
            self.lose(direction);
        }
        if self.sender(direction) == Some(Sender::Server) {
            let (calls, mut output) = self.output(events);
            calls.response_end(StreamId::new(record.stream), record.time, &mut output);
        }
    }

    /// The kernel may know who is the client before any request is decoded: by the preface.
    fn on_socket(&mut self, payload: &[u8]) {
        let requests = event::decode_socket(payload).map_or(0, |socket| socket.requests);
        self.side = self.side.or(match requests {
            1 => Some(Side::Server),
            2 => Some(Side::Client),
            _ => None,
        });
    }

    fn on_close(&mut self, direction: Direction, record: &Record, events: &mut Vec<CallEvent>) {
        match Close::from_raw(record.frame_type) {
            Some(Close::Fin) => {
                self.half(direction).finished = true;
                // A client may be done sending and still read; a server that is done answers nobody.
                let is_over = self.ingress.finished && self.egress.finished;
                if is_over || self.sender(direction) == Some(Sender::Server) {
                    self.end(record.time, events);
                    self.closed = is_over;
                }
            }
            Some(Close::Reset | Close::Gone) => self.end(record.time, events),
            Some(Close::Released) => self.released = Some(record.time),
            None => self.losses.bad_records += 1,
        }
    }
}

/// The end of the socket is told by whoever sees it, outside of the numbered records of a direction.
fn is_numbered(closed: &Record) -> bool {
    let close = Close::from_raw(closed.frame_type);
    !matches!(close, Some(Close::Gone | Close::Released))
}

#[cfg(test)]
mod tests;
