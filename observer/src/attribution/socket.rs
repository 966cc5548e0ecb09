//! The TCP sockets that exist now: asked of the kernel by `sock_diag` for the network namespace we are in
//! ([`diag`]), read from procfs for others ([`table`]). Cheap per socket, so always asked for all at once and kept.

pub mod diag;
pub mod table;

use std::net::{IpAddr, Ipv6Addr};

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
}

impl Sockets {
    fn push(&mut self, entry: Entry) {
        if self.entries.len() < MAX_SOCKETS {
            self.entries.push(entry);
        } else {
            self.refused += 1;
        }
    }

    pub fn find(&self, local: Address, remote: Address) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.local == local && entry.remote == remote)
    }

    /// The socket that listens at an address, the one bound to that very address before one bound to all.
    pub fn listener(&self, address: Address) -> Option<&Entry> {
        let listening = || {
            self.entries
                .iter()
                .filter(|entry| entry.state == State::Listen && entry.local.port == address.port)
        };
        listening()
            .find(|entry| entry.local.ip == address.ip)
            .or_else(|| listening().find(|entry| entry.local.is_any()))
    }
}
