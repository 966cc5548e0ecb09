//! The kernel object, inside the daemon's own file.

/// As `cargo xtask build` left it; empty where the crate was built without it.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/observer.bpf.o"));
