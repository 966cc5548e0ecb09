//! All that was captured: finds the connection of each packet, and counts what is none.

use std::collections::HashMap;

use super::capture::Packet;
use super::connection::Connection;
use super::link::{self, network_layer};
use super::packet::{self, Endpoint, Segment};
use super::told::Sink;

/// Connections remembered at once; at about half a KiB each. Those that have ended, then those that were quiet for
/// longest, go first, and what they were doing is lost.
pub const MAX_CONNECTIONS: usize = 65_536;
/// Bytes of all segments that wait for a hole to be filled. Where more waits, those of the connection at hand are
/// walked as they are.
pub const MAX_HELD_BYTES: usize = 64 << 20;

/// Packets, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    pub all: u64,
    pub tcp: u64,
    /// Not TCP over IP.
    pub other: u64,
    /// Of a link layer that is not known.
    pub unknown_link: u64,
    /// IP fragments: never put together.
    pub fragments: u64,
    /// Cut inside of their heads, or contradicting themselves.
    pub unreadable: u64,
    /// TCP segments of which the capture kept a part.
    pub cut: u64,
    /// Connections forgotten for want of room.
    pub evicted: u64,
    /// Connections seen.
    pub connections: u64,
}

#[derive(Debug, Default)]
pub struct Network {
    connections: HashMap<(Endpoint, Endpoint), Connection>,
    pub packets: Packets,
    held_bytes: usize,
    /// Of the last packet.
    time: u64,
}

impl Network {
    /// The next packet of the capture.
    pub fn packet(&mut self, packet: &Packet<'_>, sink: &mut impl Sink) {
        self.packets.all += 1;
        self.time = packet.time;
        let network = match network_layer(packet.link, packet.bytes) {
            Ok(network) => network,
            Err(refusal) => return self.count_link(refusal),
        };
        let head = packet.bytes.len() - network.len();
        let wire = packet
            .length
            .saturating_sub(u32::try_from(head).unwrap_or(u32::MAX));
        match packet::decode(network, wire) {
            Ok(segment) => {
                self.packets.tcp += 1;
                self.packets.cut += u64::from((segment.payload.len() as u64) < u64::from(segment.length));
                self.segment(&segment, packet.time, sink);
            }
            Err(packet::Refusal::NotTcp) => self.packets.other += 1,
            Err(packet::Refusal::Fragment) => self.packets.fragments += 1,
            Err(packet::Refusal::Unreadable) => self.packets.unreadable += 1,
        }
    }

    /// The capture is over: what waits is walked, and connections that are open stay so.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        for connection in self.connections.values_mut() {
            connection.drain_all(self.time, sink);
        }
    }

    fn count_link(&mut self, refusal: link::Refusal) {
        match refusal {
            link::Refusal::Link => self.packets.unknown_link += 1,
            link::Refusal::NotIp => self.packets.other += 1,
            link::Refusal::Short => self.packets.unreadable += 1,
        }
    }

    fn segment(&mut self, segment: &Segment<'_>, time: u64, sink: &mut impl Sink) {
        let key = (segment.from.min(segment.to), segment.from.max(segment.to));
        if let Some(before) = self
            .connections
            .get_mut(&key)
            .filter(|before| before.is_succeeded(segment))
        {
            self.held_bytes -= before.held_bytes();
            before.end(time, sink);
            self.connections.remove(&key);
        }
        if !self.connections.contains_key(&key) {
            let Some(connection) = Connection::new(self.packets.connections + 1, segment, time) else {
                return;
            };
            self.packets.connections += 1;
            self.make_room(sink);
            self.connections.insert(key, connection);
        }
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        let before = connection.held_bytes();
        connection.segment(segment, time, sink);
        if self.held_bytes + connection.held_bytes() - before > MAX_HELD_BYTES {
            connection.drain_all(time, sink);
        }
        self.held_bytes = self.held_bytes + connection.held_bytes() - before;
    }

    /// At the ceiling, an eighth goes at once, so that a flood costs little each.
    fn make_room(&mut self, sink: &mut impl Sink) {
        if self.connections.len() < MAX_CONNECTIONS {
            return;
        }
        let rank = |connection: &Connection| (!connection.is_over(), connection.seen());
        let mut ranks: Vec<_> = self.connections.values().map(rank).collect();
        let (_, &mut last, _) = ranks.select_nth_unstable(MAX_CONNECTIONS / 8);
        let (time, packets, held_bytes) = (self.time, &mut self.packets, &mut self.held_bytes);
        self.connections.retain(|_, connection| {
            if rank(connection) > last {
                return true;
            }
            packets.evicted += u64::from(!connection.is_over());
            *held_bytes -= connection.held_bytes();
            connection.end(time, sink);
            false
        });
    }
}
