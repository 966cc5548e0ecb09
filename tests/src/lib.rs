//! Harness for the live tests: guards, workloads, scrapes.

pub mod skip;
