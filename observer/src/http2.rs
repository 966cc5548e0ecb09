//! From pieces of frames to whole frames (RFC 9113): header blocks joined and stripped, control frames parsed.
//!
//! Knows nothing of header compression nor of calls. It sees only what the kernel delivers: header blocks and
//! the control frames that end calls or change decoding.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::as_conversions)]

mod assembly;
mod error_code;
mod frame;
mod header_block;
mod piece;
mod settings;
mod stream_id;

pub use assembly::{Assembly, Broken};
pub use error_code::ErrorCode;
pub use frame::{Block, Frame};
pub use piece::Piece;
pub use settings::TableSize;
pub use stream_id::StreamId;
