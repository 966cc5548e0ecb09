//! The sending end, for tests: header blocks, frames, and the records that the kernel makes of them.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::cast_possible_truncation,
    reason = "for tests: what is asked of it is under the test's control, and a panic is a failed test"
)]

mod frame;
mod hpack;
mod kernel;

pub use frame::{Frame, header_frames};
pub use hpack::{Encoder, Field, Form};
pub use kernel::Kernel;
