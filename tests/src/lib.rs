//! Harness for the live tests: guards, workloads, scrapes; and for the tests of decoding: an encoder and stories.

pub mod capture;
pub mod cgroup;
pub mod monitoring;
pub mod namespace;
pub mod observer;
pub mod overhead;
pub mod plain_http;
pub mod prerequisite;
pub mod probe_site;
pub mod process;
pub mod scrape;
pub mod skip;
pub mod story;
pub mod truth;
pub mod wait;
pub mod workload;
