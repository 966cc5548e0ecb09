//! One stream, from its first header block to its end.
//!
//! ```text
//!              request: gRPC                                    any end
//!   (nothing) ----------------------------------> Recognised -----------> Ended event
//!       |      request: cannot be told yet            ^
//!       |------------------------> Candidate ---------|  response: gRPC
//!       |                              |
//!       |      request: not gRPC       v  response: not gRPC
//!       |------------------------> Foreign ------> nothing
//!       |      response without request                         any end
//!       '------------------------> Unseen ------> UnseenCall ----------> Ended event without a beginning
//!                                         response: gRPC
//! ```

use super::{Fields, MethodIndex, Sender, Status};
use crate::http2::{ErrorCode, StreamId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Recognised,
    Candidate,
    Foreign,
    Unseen,
    UnseenCall,
}

/// What is known of `grpc-timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deadline {
    None,
    /// It may be among the fields that could not be known.
    Unknown,
    /// After so many nanoseconds a reset is the deadline's.
    After(u64),
}

/// What is known of the response's first header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// None has come.
    Missing,
    /// One has come, or may have come unseen, and its `:status` is not known.
    Unknown,
    Status(u16),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) stream: StreamId,
    pub(super) method: MethodIndex,
    pub(super) phase: Phase,
    pub(super) deadline: Deadline,
    pub(super) head: Head,
    /// `grpc-status` of a response head that did not end the stream.
    pub(super) early_status: Option<Status>,
    /// Whether the response had DATA.
    pub(super) answered: bool,
    pub(super) started: u64,
    /// When something was last seen of it.
    pub(super) seen: u64,
    /// Number of losses of the connection when it was last known to live.
    pub(super) alive_at_loss: u32,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

impl Call {
    pub(super) fn new(stream: StreamId, phase: Phase, time: u64, losses: u32) -> Self {
        Self {
            stream,
            method: MethodIndex::UNKNOWN,
            phase,
            deadline: Deadline::Unknown,
            head: Head::Missing,
            early_status: None,
            answered: false,
            started: time,
            seen: time,
            alive_at_loss: losses,
            request_bytes: 0,
            response_bytes: 0,
        }
    }

    /// Takes over what the request says.
    pub(super) fn request(&mut self, fields: &Fields, begun: u64) {
        self.method = fields.path.unwrap_or(MethodIndex::UNKNOWN);
        self.started = begun;
        self.deadline = match fields.timeout {
            Some(timeout) => timeout.patience().map_or(Deadline::None, Deadline::After),
            None if fields.unknown > 0 => Deadline::Unknown,
            None => Deadline::None,
        };
    }

    /// Takes over what a block of the response says, trailers or not.
    pub(super) fn response(&mut self, fields: &Fields) {
        match fields.http_status {
            Some(status) => self.head = Head::Status(status),
            None if self.head == Head::Missing && fields.unknown > 0 => self.head = Head::Unknown,
            None => {}
        }
    }

    /// How the call ended if this block was its last.
    pub(super) fn status_of_trailers(&self, trailers: &Fields) -> Status {
        match trailers.grpc_status {
            Some(status) => status,
            None if trailers.unknown > 0 => Status::Unobserved,
            None => self.status_of_head(),
        }
    }

    /// How the call ended if DATA was its last.
    pub(super) fn status_of_data(&self) -> Status {
        // A trailers-only response that somebody on the way cut in two: the end of the stream follows in an
        // empty DATA frame.
        match (self.answered, self.early_status, self.head) {
            (false, Some(status), _) => status,
            (false, None, Head::Unknown) => Status::Unobserved,
            _ => self.status_of_head(),
        }
    }

    fn status_of_head(&self) -> Status {
        match self.head {
            Head::Status(status) => Status::from_http(status),
            Head::Unknown => Status::Unobserved,
            Head::Missing => Status::Unknown,
        }
    }

    /// How the call ended if by this reset.
    pub(super) fn status_of_reset(&self, code: ErrorCode, sender: Sender, time: u64) -> Status {
        if sender == Sender::Server && code != ErrorCode::Cancel {
            return Status::from_reset(code);
        }
        let has_begun = matches!(self.phase, Phase::Recognised | Phase::Candidate);
        match self.deadline {
            Deadline::Unknown => Status::Unobserved,
            Deadline::After(_) if !has_begun => Status::Unobserved,
            Deadline::After(patience) if time.saturating_sub(self.started) >= patience => {
                Status::DeadlineExceeded
            }
            Deadline::After(_) | Deadline::None => Status::Cancelled,
        }
    }
}
