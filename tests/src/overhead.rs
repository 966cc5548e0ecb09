//! What it costs to be observed, measured on real programs: `cargo xtask bench` runs `src/bin/overhead.rs`, which writes
//! `observer/docs/overhead.md` from what is measured here and from nothing else.
//!
//! Every figure is CPU time as the kernel accounts it to the processes, or a ratio of such figures from runs that took
//! turns; the machine may do other work meanwhile. Nothing here asserts.

pub mod alternative;
pub mod chart;
pub mod counted;
pub mod cpu;
pub mod encrypted;
pub mod exchange;
pub mod fastest;
pub mod foreign;
pub mod latency;
pub mod machine;
pub mod options;
pub mod page;
pub mod pair;
pub mod pods;
pub mod resident;
pub mod ring;
pub mod run;
pub mod scale;
pub mod spread;
pub mod whole;
