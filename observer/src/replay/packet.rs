//! From an IP packet to the TCP segment in it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::capture::MAX_PACKET;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

const TCP: u8 = 6;
/// As in the kernel programs: more is no traffic of this world.
const MAX_EXTENSIONS: usize = 6;

/// Address, IPv4 mapped into IPv6, and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub address: [u8; 16],
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from(self.address).to_canonical();
        std::net::SocketAddr::new(address, self.port).fmt(formatter)
    }
}

impl From<(IpAddr, u16)> for Endpoint {
    fn from((address, port): (IpAddr, u16)) -> Self {
        let address = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        Self {
            address: address.octets(),
            port,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    pub from: Endpoint,
    pub to: Endpoint,
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
    /// Payload bytes on the wire.
    pub length: u32,
    /// Those that were captured.
    pub payload: &'a [u8],
}

/// Why there is no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NotTcp,
    /// Part of a packet; TCP avoids that they are made.
    Fragment,
    /// Cut in its heads, or contradicting itself.
    Unreadable,
}

/// An IP packet without its head.
struct Network<'a> {
    from: [u8; 16],
    to: [u8; 16],
    /// What follows the head, as far as captured.
    rest: &'a [u8],
    /// Its length on the wire.
    length: usize,
}

/// The segment in an IP packet that had `wire` bytes before it was cut.
pub fn decode(bytes: &[u8], wire: u32) -> Result<Segment<'_>, Refusal> {
    let wire = wire.max(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    if wire > MAX_PACKET {
        return Err(Refusal::Unreadable);
    }
    let network = match bytes.first().ok_or(Refusal::Unreadable)? >> 4 {
        4 => version_4(bytes, wire as usize)?,
        6 => version_6(bytes, wire as usize)?,
        _ => return Err(Refusal::NotTcp),
    };
    let Network {
        from,
        to,
        rest,
        length,
    } = network;
    let (head, _) = rest.split_first_chunk::<20>().ok_or(Refusal::Unreadable)?;
    let [p0, p1, q0, q1, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, ..] = *head;
    let offset = usize::from(offset >> 4) * 4;
    if offset < 20 || offset > length {
        return Err(Refusal::Unreadable);
    }
    let captured = rest.len().min(length);
    Ok(Segment {
        from: Endpoint {
            address: from,
            port: u16::from_be_bytes([p0, p1]),
        },
        to: Endpoint {
            address: to,
            port: u16::from_be_bytes([q0, q1]),
        },
        sequence: u32::from_be_bytes([s0, s1, s2, s3]),
        acknowledged: u32::from_be_bytes([a0, a1, a2, a3]),
        flags,
        length: u32::try_from(length - offset).unwrap_or(0),
        payload: rest.get(offset..captured).unwrap_or_default(),
    })
}

fn version_4(bytes: &[u8], wire: usize) -> Result<Network<'_>, Refusal> {
    let (head, _) = bytes.split_first_chunk::<20>().ok_or(Refusal::Unreadable)?;
    let [first, _, t0, t1, _, _, f0, f1, _, protocol, _, _, addresses @ ..] = *head;
    let ([from, to], _) = addresses.as_chunks::<4>() else {
        return Err(Refusal::Unreadable);
    };
    if protocol != TCP {
        return Err(Refusal::NotTcp);
    }
    // More fragments, or not the first.
    if u16::from_be_bytes([f0, f1]) & 0x3fff != 0 {
        return Err(Refusal::Fragment);
    }
    let header = usize::from(first & 15) * 4;
    // 0: captured before the network card cut it into segments.
    let total = match usize::from(u16::from_be_bytes([t0, t1])) {
        0 => wire,
        total => total,
    };
    if header < 20 || total < header {
        return Err(Refusal::Unreadable);
    }
    let mapped = |address| Endpoint::from((IpAddr::from(address), 0)).address;
    Ok(Network {
        from: mapped(*from),
        to: mapped(*to),
        rest: bytes.get(header..).ok_or(Refusal::Unreadable)?,
        length: total - header,
    })
}

fn version_6(bytes: &[u8], wire: usize) -> Result<Network<'_>, Refusal> {
    let (head, mut rest) = bytes.split_first_chunk::<40>().ok_or(Refusal::Unreadable)?;
    let (fixed, addresses) = head.split_first_chunk::<8>().ok_or(Refusal::Unreadable)?;
    let (from, to) = addresses.split_first_chunk::<16>().ok_or(Refusal::Unreadable)?;
    let to = to.first_chunk::<16>().ok_or(Refusal::Unreadable)?;
    let [_, _, _, _, l0, l1, mut next, _] = *fixed;
    // 0: longer than 16 bits can say.
    let mut length = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => wire.saturating_sub(40),
        length => length,
    };
    for _ in 0..=MAX_EXTENSIONS {
        if next == TCP {
            return Ok(Network {
                from: *from,
                to: *to,
                rest,
                length,
            });
        }
        let (&[following, size, o0, o1, ..], _) = rest.split_first_chunk::<8>().ok_or(Refusal::NotTcp)?;
        let size = match next {
            0 | 43 | 60 => (usize::from(size) + 1) * 8,
            // A fragment that is the whole packet is none.
            44 if u16::from_be_bytes([o0, o1]) & 0xfff9 == 0 => 8,
            44 => return Err(Refusal::Fragment),
            51 => (usize::from(size) + 2) * 4,
            _ => return Err(Refusal::NotTcp),
        };
        next = following;
        rest = rest.get(size..).ok_or(Refusal::Unreadable)?;
        length = length.checked_sub(size).ok_or(Refusal::Unreadable)?;
    }
    Err(Refusal::NotTcp)
}

#[cfg(test)]
mod tests;
