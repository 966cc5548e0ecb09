//! Established connections to databases: known by the port they go to, attributed to whoever opened them. Counted
//! from the kernel's own list, so exact whatever came and went between two passes. Unix sockets are not seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::attribution::socket::{Entry, Sockets, State};

/// Which database is behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(BTreeMap<u16, Arc<str>>);

/// Registered or conventional ports. Left out: those that other services use as often (8086 `InfluxDB`, 8123 and
/// 9000 over HTTP belong to anybody; 9000 is `ClickHouse`'s native port and stays).
pub const DEFAULT: [(u16, &str); 27] = [
    (1433, "sqlserver"),
    (1521, "oracle"),
    (2379, "etcd"),
    (3306, "mysql"),
    (33060, "mysql"),
    (4222, "nats"),
    (5432, "postgresql"),
    (6432, "postgresql"),
    (5433, "postgresql"),
    (5671, "rabbitmq"),
    (5672, "rabbitmq"),
    (6379, "redis"),
    (6380, "redis"),
    (7687, "neo4j"),
    (8123, "clickhouse"),
    (9000, "clickhouse"),
    (9440, "clickhouse"),
    (9042, "cassandra"),
    (9142, "cassandra"),
    (9092, "kafka"),
    (9093, "kafka"),
    (9200, "elasticsearch"),
    (11210, "couchbase"),
    (11211, "memcached"),
    (26257, "cockroachdb"),
    (27017, "mongodb"),
    (27018, "mongodb"),
];

impl Default for Ports {
    fn default() -> Self {
        Self::new(DEFAULT.map(|(port, name)| (port, name.to_owned())))
    }
}

impl Ports {
    pub fn new(ports: impl IntoIterator<Item = (u16, String)>) -> Self {
        Self(
            ports
                .into_iter()
                .map(|(port, name)| (port, name.into()))
                .collect(),
        )
    }

    pub fn numbers(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.keys().copied()
    }

    /// Connections that somebody opened to a database. One that was accepted here came from a client whose own
    /// port only happens to be that of a database.
    pub fn connections<'a>(
        &'a self,
        sockets: &'a Sockets,
    ) -> impl Iterator<Item = (&'a Entry, &'a Arc<str>)> {
        let established = sockets
            .entries
            .iter()
            .filter(|entry| entry.state == State::Established);
        established
            .filter_map(|entry| Some((entry, self.0.get(&entry.remote.port)?)))
            .filter(|(entry, _)| sockets.listener(entry.local).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::socket::Address;

    #[test]
    fn opened_not_accepted() {
        let at = |port| Address::new([127, 0, 0, 1], port);
        let entry = |local, remote, state| Entry {
            local: at(local),
            remote: at(remote),
            state,
            inode: 1,
            cgroup: 0,
        };
        let sockets = Sockets::of(vec![
            entry(5432, 0, State::Listen),
            entry(50000, 5432, State::Established),
            entry(5432, 50000, State::Established),
            entry(50001, 5432, State::TimeWait),
            entry(50002, 8081, State::Established),
            entry(8081, 0, State::Listen),
            // A client of ours that was given the port of Cassandra.
            entry(8081, 9042, State::Established),
            entry(50003, 6379, State::Established),
        ]);
        let ports = Ports::default();
        let found: Vec<_> = ports
            .connections(&sockets)
            .map(|(entry, name)| (entry.local.port, &**name))
            .collect();
        assert_eq!(found, [(50000, "postgresql"), (50003, "redis")]);
    }

    #[test]
    fn default_ports_are_distinct() {
        assert_eq!(Ports::default().0.len(), DEFAULT.len());
    }
}
