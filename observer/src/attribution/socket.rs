//! The TCP sockets that exist now: asked of the kernel by `sock_diag` for the network namespace we are in
//! ([`diag`]), read from procfs for others ([`table`]). Cheap per socket, so always asked for all at once and kept.

pub mod diag;
pub mod table;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::OnceLock;

/// Kernel's `TCP_*` states by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    Established = 1,
    SynSent = 2,
    SynReceived = 3,
    FinWait1 = 4,
    FinWait2 = 5,
    TimeWait = 6,
    Close = 7,
    CloseWait = 8,
    LastAck = 9,
    Listen = 10,
    Closing = 11,
    NewSynReceived = 12,
}

impl State {
    pub const ALL: [Self; 12] = [
        Self::Established,
        Self::SynSent,
        Self::SynReceived,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
        Self::NewSynReceived,
    ];

    pub fn from_raw(raw: u8) -> Option<Self> {
        Self::ALL.get(usize::from(raw.checked_sub(1)?)).copied()
    }

    /// As `ss` and node-exporter name them.
    pub fn name(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::SynSent => "syn_sent",
            // A request socket; `netstat` has one word for both.
            Self::SynReceived | Self::NewSynReceived => "syn_recv",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::TimeWait => "time_wait",
            Self::Close => "close",
            Self::CloseWait => "close_wait",
            Self::LastAck => "last_ack",
            Self::Listen => "listen",
            Self::Closing => "closing",
        }
    }
}

/// An address as the kernel record has it: network order, IPv4 mapped into IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    pub ip: [u8; 16],
    pub port: u16,
}

impl Address {
    pub fn new(ip: impl Into<IpAddr>, port: u16) -> Self {
        let ip = match ip.into() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        Self { ip, port }
    }

    pub fn ip(&self) -> IpAddr {
        Ipv6Addr::from(self.ip).to_canonical()
    }

    pub fn is_v4(&self) -> bool {
        self.ip().is_ipv4()
    }

    /// `0.0.0.0` or `::`.
    pub fn is_any(&self) -> bool {
        self.ip().is_unspecified()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub local: Address,
    pub remote: Address,
    pub state: State,
    /// Of the socket's file; 0 once no process has it open (`TIME_WAIT`, orphans).
    pub inode: u64,
    /// cgroup v2 id where the kernel tells it (`sock_diag` since 5.7), else 0.
    pub cgroup: u64,
}

/// Sockets held of one namespace: about 64 bytes each, so 16 MiB at worst. Above, the rest is left out and counted.
pub const MAX_SOCKETS: usize = 262_144;

/// Sockets of one namespace at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    pub entries: Vec<Entry>,
    /// Left out because of [`MAX_SOCKETS`].
    pub refused: u64,
    index: OnceLock<Index>,
}

/// Places in the list. Made with the first look into it: thousands of questions may look into one list of thousands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Index {
    connections: HashMap<(Address, Address), usize>,
    /// By port.
    listeners: HashMap<u16, Vec<usize>>,
}

impl Index {
    fn of(entries: &[Entry]) -> Self {
        let mut index = Self::default();
        for (at, entry) in entries.iter().enumerate() {
            // The first of equals, as the kernel lists them.
            index.connections.entry((entry.local, entry.remote)).or_insert(at);
            if entry.state == State::Listen {
                index.listeners.entry(entry.local.port).or_default().push(at);
            }
        }
        index
    }
}

impl Sockets {
    pub fn of(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::of(&self.entries))
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() < MAX_SOCKETS {
            self.entries.push(entry);
            self.index.take();
        } else {
            self.refused += 1;
        }
    }

    pub fn find(&self, local: Address, remote: Address) -> Option<&Entry> {
        let at = self.index().connections.get(&(local, remote))?;
        self.entries.get(*at)
    }

    /// The socket that listens at an address: the one bound to that very address before one bound to all of its family, and
    /// that before one bound to all of both, as the kernel chooses. The order of the list says nothing.
    pub fn listener(&self, address: Address) -> Option<&Entry> {
        let places = self.index().listeners.get(&address.port)?;
        let listening = || places.iter().filter_map(|at| self.entries.get(*at));
        listening()
            .find(|entry| entry.local.ip == address.ip)
            .or_else(|| {
                listening().find(|entry| entry.local.is_any() && entry.local.is_v4() == address.is_v4())
            })
            .or_else(|| listening().find(|entry| entry.local.is_any()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_anew_when_the_list_grows() {
        let at = |ip: [u8; 4], port| Address::new(ip, port);
        let entry = |local, remote, state, inode| Entry {
            local,
            remote,
            state,
            inode,
            cgroup: 0,
        };
        let (nowhere, client) = (at([0; 4], 0), at([127, 0, 0, 1], 50_000));
        let (server, any) = (at([127, 0, 0, 1], 8081), at([0; 4], 8081));
        let mut sockets = Sockets::of(vec![entry(any, nowhere, State::Listen, 1)]);
        let inode = |found: Option<&Entry>| found.map(|entry| entry.inode);
        assert_eq!(inode(sockets.listener(server)), Some(1));
        assert_eq!(inode(sockets.find(client, server)), None);
        sockets.push(entry(client, server, State::Established, 2));
        sockets.push(entry(server, nowhere, State::Listen, 3));
        assert_eq!(inode(sockets.find(client, server)), Some(2));
        assert_eq!(inode(sockets.find(server, client)), None);
        // Bound to that very address before bound to all.
        assert_eq!(inode(sockets.listener(server)), Some(3));
        assert_eq!(inode(sockets.listener(at([127, 0, 0, 2], 8081))), Some(1));
        assert_eq!(inode(sockets.listener(client)), None);
    }

    /// Whichever of two began to listen first.
    #[test]
    fn a_listener_of_each_family() {
        let any_v4 = Address::new([0; 4], 8081);
        let any_v6 = Address::new([0; 16], 8081);
        let entry = |local, inode| Entry {
            local,
            remote: Address::new([0; 4], 0),
            state: State::Listen,
            inode,
            cgroup: 0,
        };
        let (v4, v6) = (entry(any_v4, 4), entry(any_v6, 6));
        let both = [vec![v4, v6], vec![v6, v4]].map(Sockets::of);
        let found = |sockets: &Sockets, address| sockets.listener(address).unwrap().inode;
        let localhost = Address::new([127, 0, 0, 1], 8081);
        for sockets in both {
            assert_eq!(found(&sockets, localhost), 4);
            let address = Address::new(std::net::Ipv6Addr::LOCALHOST, 8081);
            assert_eq!(found(&sockets, address), 6);
        }
        assert_eq!(found(&Sockets::of(vec![v6]), localhost), 6, "it takes both");
    }
}
