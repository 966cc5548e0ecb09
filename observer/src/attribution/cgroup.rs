//! From a cgroup to what it stands for: the tree of cgroups by id ([`tree`]) and the grammar of their paths
//! ([`path`]). Nothing here asks anything but the file system.

pub mod membership;
pub mod path;
pub mod tree;
