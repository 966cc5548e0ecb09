//! The ring's records, put together to connections and frames; every rule of the record format that they break
//! is noted.

use std::collections::HashMap;
use std::net::{Ipv6Addr, SocketAddr};

use observer::event::decode_socket;
use observer_ebpf::loss::Loss;
use observer_ebpf::record::{
    Close, Direction, Kind, MAX_HEADER_BLOCK, Protocol, Record, Socket, delivered_length,
};

use super::wire::Frame;

#[derive(Debug, Default)]
pub struct Seen {
    pub connections: HashMap<u64, Connection>,
    /// Those whose sockets were used for another one.
    pub former: Vec<Connection>,
    pub records: u64,
}

#[derive(Debug, Default)]
pub struct Connection {
    /// In the order in which they were told.
    pub sockets: Vec<Socket>,
    /// By [`Direction`].
    pub halves: [Half; 2],
    /// Ends that are no [`Close::Fin`].
    pub closes: Vec<Close>,
}

#[derive(Debug, Default)]
pub struct Half {
    pub frames: Vec<Frame>,
    pub data_bytes: u64,
    pub gaps: Vec<Option<Loss>>,
    /// Records that never reached the ring.
    pub missing: u64,
    pub finished: bool,
    /// Broken rules of the format.
    pub faults: Vec<String>,
    next: u32,
}

impl Connection {
    pub fn half(&mut self, direction: Direction) -> &mut Half {
        &mut self.halves[direction as usize]
    }

    pub fn protocol(&self) -> Protocol {
        self.sockets
            .last()
            .map_or(Protocol::Undecided, |socket| Protocol::from_raw(socket.protocol))
    }
}

impl Seen {
    pub fn take(&mut self, record: &Record, payload: &[u8]) {
        self.records += 1;
        let connection = self.connections.entry(record.connection).or_default();
        if Kind::from_raw(record.kind) == Some(Kind::Socket) && connection.closes.contains(&Close::Gone) {
            // The same socket, connected anew.
            self.former.push(std::mem::take(connection));
        }
        let direction = Direction::from_raw(record.direction);
        let kind = Kind::from_raw(record.kind);
        if kind == Some(Kind::Closed)
            && let Some(close @ (Close::Gone | Close::Released)) = Close::from_raw(record.frame_type)
        {
            connection.closes.push(close);
            return;
        }
        connection.half(direction.other()).data_bytes += u64::from(record.data_other.bytes);
        let half = connection.half(direction);
        half.data_bytes += u64::from(record.data.bytes);
        half.missing += u64::from(record.sequence.wrapping_sub(half.next));
        half.next = record.sequence.wrapping_add(1);
        match kind {
            Some(Kind::Frame) => half.piece(record, payload),
            Some(Kind::Gap) => half.gaps.push(Loss::from_raw(record.frame_type)),
            Some(Kind::Data) => {}
            Some(Kind::Closed) => match Close::from_raw(record.frame_type) {
                Some(Close::Fin) => half.finished = true,
                Some(close) => connection.closes.push(close),
                None => half.faults.push(format!("an unknown end: {record:?}")),
            },
            Some(Kind::Socket) => match decode_socket(payload) {
                Some(socket) => connection.sockets.push(socket),
                None => half.faults.push(format!("a short socket: {record:?}")),
            },
            None => half.faults.push(format!("an unknown kind: {record:?}")),
        }
    }

    /// The connection of the socket with these addresses; the newest, if there were several.
    pub fn find(&self, local: SocketAddr, remote: SocketAddr) -> Option<&Connection> {
        let is = |socket: &Socket| {
            address(socket.local, socket.local_port) == mapped(local)
                && address(socket.remote, socket.remote_port) == mapped(remote)
        };
        let all = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.sockets.iter().any(is));
        let newest = all.max_by_key(|(cookie, _)| **cookie);
        let former = || {
            self.former
                .iter()
                .find(|connection| connection.sockets.iter().any(is))
        };
        newest.map(|(_, connection)| connection).or_else(former)
    }
}

impl Half {
    fn piece(&mut self, record: &Record, payload: &[u8]) {
        let length = record.length as usize;
        if record.offset == 0 {
            if let Some(open) = self.open() {
                self.faults.push(format!("{open:?} never ended"));
            }
            self.frames.push(Frame {
                kind: record.frame_type,
                flags: record.flags,
                stream: record.stream,
                length,
                payload: payload.to_vec(),
            });
            return;
        }
        match self.frames.last_mut() {
            Some(frame) if frame.payload.len() == record.offset as usize && frame.stream == record.stream => {
                frame.payload.extend_from_slice(payload);
            }
            other => self
                .faults
                .push(format!("a piece that does not continue {other:?}: {record:?}")),
        }
    }

    /// The last frame, if it is not complete.
    fn open(&self) -> Option<&Frame> {
        let frame = self.frames.last()?;
        let whole = delivered_length(
            frame.kind,
            u32::try_from(frame.length).unwrap_or(MAX_HEADER_BLOCK),
        );
        (frame.payload.len() < whole as usize).then_some(frame)
    }
}

fn mapped(address: SocketAddr) -> (Ipv6Addr, u16) {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        std::net::IpAddr::V6(ip) => ip,
    };
    (ip, address.port())
}

fn address(bytes: [u8; 16], port: u16) -> (Ipv6Addr, u16) {
    (Ipv6Addr::from(bytes), port)
}
