//! The daemon. Modules in the order in which data flows through them: records come out of the kernel (`probe`,
//! `event`), become frames (`http2`), fields (`hpack`) and calls (`rpc`), composed per connection by `session`, get
//! a name (`attribution`), are counted (`metrics`) and served (`endpoint`). `replay` takes records out of captures.

pub mod probe;

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

use std::process::ExitCode;

use anyhow::bail;

use config::Config;

<<<<<<< HEAD
/// Says what this machine allows; fails when the observer cannot run on it.
pub fn top(_config: &Config, _url: Option<&str>) -> anyhow::Result<ExitCode> {
    bail!("`observer top` is not built yet")
=======
pub fn check(_config: &Config, _json: bool) -> anyhow::Result<ExitCode> {
    bail!("`observer check` is not built yet")
}

pub fn top(config: &Config, url: Option<&str>) -> anyhow::Result<ExitCode> {
    top::run(config, url)
>>>>>>> top
}
