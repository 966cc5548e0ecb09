//! What becomes of a stream: recognised as a call or not, and ended.

use super::{Calls, Output};
use crate::http2::StreamId;
use crate::rpc::call::{Call, Phase};
use crate::rpc::ended::Was;
use crate::rpc::recognition::{Habit, Verdict};
use crate::rpc::{CallEvent, Ended, MAX_STREAMS, Status};

/// Applies what was found out about a stream.
#[inline]
pub(super) fn judge(call: &mut Call, verdict: Verdict, habit: &mut Habit, output: &mut Output<'_>) {
    match (call.phase, verdict) {
        (Phase::Candidate, Verdict::Grpc) => {
            call.phase = Phase::Recognised;
            habit.grpc = true;
            output.methods.tell(call.method);
            output.events.push(CallEvent::Started {
                stream: call.stream,
                method: call.method,
                time: call.started,
            });
        }
        (Phase::Unseen, Verdict::Grpc) => {
            call.phase = Phase::UnseenCall;
            habit.grpc = true;
        }
        (Phase::Candidate | Phase::Unseen, Verdict::Foreign | Verdict::GrpcWeb) => {
            call.phase = Phase::Foreign;
            habit.other = true;
            match verdict {
                Verdict::GrpcWeb => output.losses.grpc_web_requests += 1,
                _ => output.losses.non_grpc_requests += 1,
            }
        }
        // What is known of a request is not undone by its response: a proxy may answer in its place.
        _ => {}
    }
}

impl Calls {
    /// An end that says something; where it could not be understood, that is counted.
    pub(super) fn end_by_answer(
        &mut self,
        stream: StreamId,
        status: Status,
        time: u64,
        output: &mut Output<'_>,
    ) {
        let is_call = self.end(stream, status, time, output);
        output.losses.unknown_statuses += u32::from(is_call && status == Status::Unobserved);
    }

    /// Whether it was a call.
    pub(super) fn end(
        &mut self,
        stream: StreamId,
        status: Status,
        time: u64,
        output: &mut Output<'_>,
    ) -> bool {
        let Some(call) = self.streams.remove(stream) else {
            return false;
        };
        let started = match call.phase {
            Phase::Recognised => Some(call.started),
            // A response without request on a connection that carries nothing but gRPC is a call, too.
            Phase::UnseenCall => None,
            Phase::Unseen if self.habit.is_grpc_alone() => None,
            Phase::Candidate | Phase::Unseen | Phase::Foreign => {
                output.losses.unrecognised_streams += u32::from(call.phase != Phase::Foreign);
                self.ended.push(stream, Was::NoCall);
                return false;
            }
        };
        output.losses.unseen_requests += u32::from(started.is_none());
        self.ended.push(stream, Was::Call(call.method));
        let Call {
            method,
            request_bytes,
            response_bytes,
            ..
        } = call;
        output.events.push(CallEvent::Ended(Ended {
            stream,
            method,
            status,
            started,
            ended: time,
            request_bytes,
            response_bytes,
        }));
        true
    }

    /// Where all room is taken, the longest idle eighth goes: one by one would cost a search for each new call.
    #[inline]
    pub(super) fn make_room(&mut self, time: u64, output: &mut Output<'_>) {
        if self.streams.is_full() {
            self.evict(time, output);
        }
    }

    #[cold]
    fn evict(&mut self, time: u64, output: &mut Output<'_>) {
        let mut idle = self.streams.idle_since(self.streams.idle_eighth());
        idle.truncate(MAX_STREAMS / 8);
        for stream in idle {
            let is_call = self.end(stream, Status::Unobserved, time, output);
            output.losses.evicted_calls += u32::from(is_call);
        }
    }
}
