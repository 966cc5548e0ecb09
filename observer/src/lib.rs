//! The daemon. Modules in the order in which data flows through them.

pub mod hpack;
pub mod http2;
pub mod rpc;
pub mod session;
