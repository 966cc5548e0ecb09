//! The daemon. Modules in the order in which data flows through them: records come out of the kernel (`probe`,
//! `event`), become frames (`http2`), fields (`hpack`) and calls (`rpc`), composed per connection by `session`, get
//! a name (`attribution`), are counted (`metrics`) and served (`endpoint`). `replay` takes records out of captures.

pub mod probe;
pub mod tls;

pub mod event;

pub mod hpack;
pub mod http2;
pub mod rpc;

pub mod session;

pub mod attribution;

pub mod clock;
pub mod config;
pub mod endpoint;
pub mod logs;
pub mod metrics;
pub mod service_manager;

pub mod gauge;

pub mod pipeline;

pub mod preflight;

pub mod daemon;

pub mod replay;

pub mod top;

/// The one of the crate `tests`, which this one cannot depend on: `xtask` counts skips of both in the same way.
#[cfg(test)]
#[path = "../../tests/src/skip.rs"]
mod skip;
