//! What the calls of a connection could not tell, or was not theirs to tell.

/// Counts since they were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallLosses {
    /// Requests that are not gRPC.
    pub non_grpc_requests: u32,
    /// Requests of gRPC-Web.
    pub grpc_web_requests: u32,
    /// Streams that ended, or were left, without it ever being clear whether they were gRPC: everything that
    /// would have told was older than what was seen.
    pub unrecognised_streams: u32,
    /// Calls whose end was seen, but what it said was older than what was seen.
    pub unknown_statuses: u32,
    /// Calls left to die as `_unobserved` because the connection holds [`MAX_STREAMS`](super::MAX_STREAMS).
    pub evicted_calls: u32,
    /// Calls left as `_unobserved` because nothing came for so long.
    pub idle_calls: u32,
    /// Calls open when records were lost, whose end may have been among them, left as `_unobserved` at the end of
    /// the connection.
    pub doubtful_calls: u32,
    /// Calls whose request was not seen.
    pub unseen_requests: u32,
    /// Calls of which nothing was seen: their streams were opened while records were lost.
    pub unseen_calls: u32,
    /// Paths told as `_other`, for their length or because of [`MAX_METHODS`](super::MAX_METHODS).
    pub refused_methods: u32,
    /// Bytes of DATA on streams not known.
    pub unattributed_bytes: u64,
}
