//! gRPC over HTTP/2: from decoded headers to calls that begin and end.
//!
//! The calls of one connection are a state machine fed with what was seen, in order; it looks at no clock, and
//! everything that could not be known is a value of its own. Knows header fields by [`hpack`](crate::hpack)'s
//! tokens, but neither bytes nor records.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::as_conversions)]

mod call;
mod calls;
mod content_type;
mod ended;
mod event;
mod field;
mod loss;
mod method;
mod opened;
mod recognition;
mod status;
mod stream_table;
mod timeout;

pub use calls::{Calls, Output};
pub use ended::MAX_REMEMBERED;
pub use event::{CallEvent, Ended, Sender, Side};
pub use field::{Fields, PATH, Reader};
pub use loss::CallLosses;
pub use method::{MAX_METHOD_BYTES, MAX_METHODS, MethodIndex, Methods};
pub use status::Status;
pub use stream_table::MAX_STREAMS;
