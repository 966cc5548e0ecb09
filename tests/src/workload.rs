//! Real gRPC programs that count what they do (`workloads/README.md`): how to get, start and drive them.

pub mod command;
pub mod plan;
pub mod tally;
