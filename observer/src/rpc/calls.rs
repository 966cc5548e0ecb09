//! The calls of one connection: what each thing seen does to them.

mod verdict;

use super::call::{Call, Head, Phase};
use super::ended::{RecentlyEnded, Was};
use super::opened::Opened;
use super::recognition::{self, Habit, Verdict};
use super::stream_table::StreamTable;
use super::{CallEvent, CallLosses, Fields, Methods, Sender, Status};
use crate::http2::{ErrorCode, StreamId};

/// Where it all goes.
#[derive(Debug)]
pub struct Output<'a> {
    pub events: &'a mut Vec<CallEvent>,
    pub losses: &'a mut CallLosses,
    pub methods: &'a mut Methods,
}

#[derive(Debug)]
pub struct Calls {
    streams: StreamTable,
    ended: RecentlyEnded,
    /// Every stream opened with this id or a higher one was seen being opened. `None`: none for certain.
    seen_from: Option<StreamId>,
    /// The highest stream seen being opened.
    highest: StreamId,
    /// The server processes no stream above.
    last_processed: StreamId,
    /// How often something was lost. A call not known to have lived since then may have ended unseen.
    losses: u32,
    opened: Opened,
    habit: Habit,
}

const NO_STREAM: StreamId = StreamId::new(0);

impl Calls {
    /// `joined`: streams may have been opened before anything was seen.
    #[must_use]
    pub const fn new(joined: bool) -> Self {
        Self {
            streams: StreamTable::new(),
            ended: RecentlyEnded::new(),
            seen_from: if joined { None } else { Some(NO_STREAM) },
            highest: NO_STREAM,
            last_processed: StreamId::new(u32::MAX),
            losses: 0,
            opened: Opened::new(joined),
            habit: Habit {
                grpc: false,
                other: false,
            },
        }
    }

    /// Whether a call was recognised as gRPC.
    #[must_use]
    pub const fn is_grpc(&self) -> bool {
        self.habit.grpc
    }

    /// Streams held, calls or not.
    #[must_use]
    pub fn open(&self) -> usize {
        self.streams.len()
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.streams.memory()
    }

    /// Methods that open streams refer to.
    pub fn methods(&self) -> impl Iterator<Item = u32> + '_ {
        self.streams.iter().map(|call| call.method.token())
    }

    /// A header block from the client.
    pub fn request(
        &mut self,
        stream: StreamId,
        fields: &Fields,
        begun: u64,
        time: u64,
        output: &mut Output<'_>,
    ) {
        if !stream.is_client_initiated() {
            return;
        }
        if let Some(call) = self.streams.get_mut(stream) {
            call.seen = time;
            // A response overtook its request. Anything else is trailers of the request, which say nothing.
            if matches!(call.phase, Phase::Unseen | Phase::UnseenCall) && fields.is_request() {
                call.request(fields, begun);
                self.opened.request(stream, true, time);
                let is_grpc = call.phase == Phase::UnseenCall;
                call.phase = Phase::Candidate;
                let verdict = if is_grpc {
                    Verdict::Grpc
                } else {
                    recognition::request(fields, self.habit, output.methods)
                };
                verdict::judge(call, verdict, &mut self.habit, output);
                self.highest = self.highest.max(stream);
            }
            return;
        }
        // Ids only grow: this stream has ended, or was given up. Trailers open nothing.
        let opens = fields.is_request() || fields.unknown > 0;
        if !opens || stream <= self.highest || self.ended.contains(stream) {
            return;
        }
        self.make_room(time, output);
        self.highest = stream;
        self.seen_from = self.seen_from.or(Some(stream));
        let mut call = Call::new(stream, Phase::Candidate, time, self.losses);
        call.request(fields, begun);
        self.opened.request(stream, false, time);
        let verdict = recognition::request(fields, self.habit, output.methods);
        verdict::judge(&mut call, verdict, &mut self.habit, output);
        self.streams.insert(call);
        if stream > self.last_processed {
            self.end(stream, Status::Unavailable, time, output);
        }
    }

    /// A header block from the server.
    pub fn response(
        &mut self,
        stream: StreamId,
        fields: &Fields,
        end_stream: bool,
        time: u64,
        output: &mut Output<'_>,
    ) {
        if self.streams.get_mut(stream).is_none() {
            if !self.may_be_unseen(stream) {
                return;
            }
            self.make_room(time, output);
            self.opened.response(stream, time);
            self.streams
                .insert(Call::new(stream, Phase::Unseen, time, self.losses));
        }
        let Some(call) = self.streams.get_mut(stream) else {
            return;
        };
        call.seen = time;
        // Informational: the response is still to come.
        if !end_stream
            && fields
                .http_status
                .is_some_and(|status| (100..200).contains(&status))
        {
            return;
        }
        // Without `:status` and behind a loss, the head may have been lost.
        let lost_since = call.alive_at_loss != self.losses || call.phase == Phase::Unseen;
        if call.head == Head::Missing && lost_since {
            call.head = Head::Unknown;
        }
        let is_trailers = end_stream && call.head != Head::Missing && fields.http_status.is_none();
        call.alive_at_loss = self.losses;
        call.response(fields);
        let verdict = recognition::response(fields, is_trailers);
        let status = call.status_of_trailers(fields);
        if !end_stream {
            call.early_status = call.early_status.or(fields.grpc_status);
        }
        verdict::judge(call, verdict, &mut self.habit, output);
        if end_stream {
            self.end_by_answer(stream, status, time, output);
        }
    }

    /// DATA from the server ended the stream.
    pub fn response_end(&mut self, stream: StreamId, time: u64, output: &mut Output<'_>) {
        let losses = self.losses;
        let Some(call) = self.streams.get_mut(stream) else {
            return;
        };
        if call.alive_at_loss != losses && call.head == Head::Missing {
            call.head = Head::Unknown;
        }
        let status = call.status_of_data();
        self.end_by_answer(stream, status, time, output);
    }

    /// `RST_STREAM`.
    pub fn reset(
        &mut self,
        stream: StreamId,
        code: ErrorCode,
        sender: Sender,
        time: u64,
        output: &mut Output<'_>,
    ) {
        if self.streams.get_mut(stream).is_none() {
            // A call begun before anything was seen, and reset before its response. NO_ERROR is what follows a
            // complete response; and no idle stream is ever reset.
            let is_late = code == ErrorCode::NoError || self.seen_from.is_some_and(|from| stream >= from);
            if is_late || !self.habit.is_grpc_alone() || !self.may_be_unseen(stream) {
                return;
            }
            self.make_room(time, output);
            self.opened.response(stream, time);
            self.streams
                .insert(Call::new(stream, Phase::UnseenCall, time, self.losses));
        }
        let losses = self.losses;
        let Some(call) = self.streams.get_mut(stream) else {
            return;
        };
        // Behind a loss, this may be the reset that follows an end not seen.
        let status = if call.alive_at_loss == losses {
            call.status_of_reset(code, sender, time)
        } else {
            Status::Unobserved
        };
        self.end_by_answer(stream, status, time, output);
    }

    /// GOAWAY from the server. The client's speaks of streams that the server opens, and there are none.
    pub fn go_away(&mut self, last: StreamId, time: u64, output: &mut Output<'_>) {
        self.opened.hint(last);
        self.last_processed = self.last_processed.min(last);
        // From above, and each end is found at once.
        while let Some(stream) = self.streams.last().filter(|&stream| stream > self.last_processed) {
            self.end(stream, Status::Unavailable, time, output);
        }
    }

    /// The connection is gone.
    pub fn close(&mut self, time: u64, output: &mut Output<'_>) {
        let losses = self.losses;
        while let Some(stream) = self.streams.last() {
            let is_doubtful = self
                .streams
                .get_mut(stream)
                .is_some_and(|call| call.alive_at_loss != losses);
            let status = if is_doubtful {
                Status::Unobserved
            } else {
                Status::Unavailable
            };
            let is_call = self.end(stream, status, time, output);
            output.losses.doubtful_calls += u32::from(is_call && is_doubtful);
        }
        let unseen = self.opened.close();
        self.tell_unseen(unseen, output);
    }

    /// Streams that left no trace were calls if everything else on the connection is.
    fn tell_unseen(&self, unseen: u32, output: &mut Output<'_>) {
        if self.habit.is_grpc_alone() {
            output.losses.unseen_calls = output.losses.unseen_calls.saturating_add(unseen);
        }
    }

    /// DATA of one stream.
    pub fn data(&mut self, stream: StreamId, sender: Sender, bytes: u32, time: u64, output: &mut Output<'_>) {
        let bytes = u64::from(bytes);
        let (request, response) = match sender {
            Sender::Client => (bytes, 0),
            Sender::Server => (0, bytes),
        };
        if let Some(call) = self.streams.get_mut(stream) {
            call.seen = time;
            call.request_bytes = call.request_bytes.saturating_add(request);
            call.response_bytes = call.response_bytes.saturating_add(response);
            if response > 0 {
                call.answered = true;
                call.alive_at_loss = self.losses;
            }
            return;
        }
        match self.ended.find(stream) {
            Some(Was::Call(method)) => output.events.push(CallEvent::Bytes {
                method,
                request,
                response,
            }),
            Some(Was::NoCall) => {}
            None => {
                self.opened.hint(stream);
                output.losses.unattributed_bytes = output.losses.unattributed_bytes.saturating_add(bytes);
            }
        }
    }

    /// Something was lost: what is open may have ended. `openings`: what is not known may have begun, too.
    pub fn lose(&mut self, openings: bool) {
        self.losses = self.losses.wrapping_add(1);
        if openings {
            self.seen_from = None;
            self.highest = NO_STREAM;
            self.opened.lose();
        }
    }

    /// Gives up calls of which nothing was seen for `idle`, and tells bytes of those that go on.
    pub fn expire(&mut self, time: u64, idle: u64, output: &mut Output<'_>) {
        for stream in time
            .checked_sub(idle)
            .map_or_else(Vec::new, |limit| self.streams.idle_since(limit))
        {
            let is_call = self.end(stream, Status::Unobserved, time, output);
            output.losses.idle_calls += u32::from(is_call);
        }
        for call in self
            .streams
            .iter_mut()
            .filter(|call| call.phase == Phase::Recognised)
        {
            let (request, response) = (
                std::mem::take(&mut call.request_bytes),
                std::mem::take(&mut call.response_bytes),
            );
            if request + response > 0 {
                output.events.push(CallEvent::Bytes {
                    method: call.method,
                    request,
                    response,
                });
            }
        }
        self.streams.release();
        let unseen = self.opened.expire(time);
        self.tell_unseen(unseen, output);
    }

    /// Whether a stream not held may have been opened unseen (or, which happens, its response came first).
    fn may_be_unseen(&self, stream: StreamId) -> bool {
        let unseen = stream > self.highest || self.seen_from.is_none_or(|from| stream < from);
        stream.is_client_initiated() && unseen && !self.ended.contains(stream)
    }
}
