//! Capture tests: real connections whose two applications record what they send and receive, and the ring's view
//! of the same connections to compare with. None of the observer's own decoding takes part.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "parts of tests, in which a panic is a failure with a place"
)]

pub mod comparison;
pub mod empty;
pub mod exchange;
pub mod foreign;
pub mod group;
pub mod kernel;
pub mod place;
pub mod progress;
pub mod random;
pub mod script;
pub mod seen;
pub mod tap;
pub mod watch;
pub mod wire;
