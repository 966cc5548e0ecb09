//! The daemon. Modules in the order in which data flows through them.

pub mod clock;
pub mod endpoint;
pub mod metrics;
