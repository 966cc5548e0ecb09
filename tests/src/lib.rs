//! Harness for the live tests: guards, workloads, scrapes.

pub mod namespace;
pub mod plain_http;
pub mod prerequisite;
pub mod process;
pub mod scrape;
pub mod skip;
pub mod workload;
