//! Harness for the live tests: guards, workloads, scrapes.

pub mod plain_http;
pub mod skip;
pub mod workload;
