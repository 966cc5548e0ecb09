//! The daemon. Modules in the order in which data flows through them.

pub mod attribution;
pub mod gauge;
