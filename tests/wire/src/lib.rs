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
mod tap;
pub mod vocabulary;

pub use frame::{Frame, header_frames};
pub use hpack::{Encoder, Field, Form};
pub use kernel::Kernel;
use observer_ebpf::record::{DataCount, Record};
pub use observer_ebpf::walker::PREFACE;
pub use tap::Tap;

const EMPTY: Record = Record {
    connection: 0,
    time: 0,
    sequence: 0,
    kind: 0,
    direction: 0,
    frame_type: 0,
    flags: 0,
    stream: 0,
    length: 0,
    offset: 0,
    payload: 0,
    data: DataCount { stream: 0, bytes: 0 },
    data_other: DataCount { stream: 0, bytes: 0 },
};
