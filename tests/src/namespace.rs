//! Two network namespaces joined by a veth pair, gone with the guard.
