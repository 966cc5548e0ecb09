//! The daemon. Modules in the order in which data flows through them: records come out of the kernel (`probe`,
//! `event`), become frames (`http2`), fields (`hpack`) and calls (`rpc`), composed per connection by `session`, get
//! a name (`attribution`), are counted (`metrics`) and served (`endpoint`).

pub mod probe;

pub mod event;

pub mod hpack;
pub mod http2;
pub mod rpc;

pub mod session;

pub mod attribution;

pub mod clock;
pub mod endpoint;
pub mod metrics;

pub mod gauge;

pub mod pipeline;

pub mod daemon;
