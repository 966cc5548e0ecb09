//! The truth: real programs in every situation, and a table of what the observer made of their calls.
//!
//! A cell is one situation with servers of one implementation. Its only judge is what the applications counted.

pub mod act;
pub mod cell;
pub mod counts;
pub mod disturbance;
pub mod dump;
pub mod latency;
pub mod options;
pub mod page;
pub mod plans;
pub mod proxy;
pub mod quota;
pub mod run;
pub mod settled;
pub mod situation;
pub mod soak;
pub mod stage;
pub mod table;
pub mod verdict;
pub mod watch;
pub mod wire;
