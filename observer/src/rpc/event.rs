//! What comes out of a connection.

use super::{MethodIndex, Status};
use crate::http2::StreamId;

/// Which side of its calls the observed socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Requests come in.
    Server,
    /// Requests go out.
    Client,
}

/// Who sent a frame, in the words of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
}

/// In the order in which they were seen. Each `Started` is followed by exactly one `Ended` of the same stream
/// with `started`; an `Ended` without `started` had no `Started`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// A call is known to be one. `time` is that of its request, also where it was recognised later.
    Started {
        stream: StreamId,
        method: MethodIndex,
        time: u64,
    },
    /// Bytes of a call that goes on, or has ended before they were told.
    Bytes {
        method: MethodIndex,
        request: u64,
        response: u64,
    },
    Ended(Ended),
}

impl CallEvent {
    #[must_use]
    pub const fn method(&self) -> MethodIndex {
        match self {
            Self::Started { method, .. } | Self::Bytes { method, .. } | Self::Ended(Ended { method, .. }) => {
                *method
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub stream: StreamId,
    pub method: MethodIndex,
    pub status: Status,
    /// `None`: the beginning was not seen, and there is no duration.
    pub started: Option<u64>,
    pub ended: u64,
    /// DATA of the request, as far as not told by `CallEvent::Bytes`.
    pub request_bytes: u64,
    /// DATA of the response, as far as not told by `CallEvent::Bytes`.
    pub response_bytes: u64,
}
