//! TCP segments out of a classic pcap file of Ethernet frames.

use anyhow::{Result, ensure};

/// Little-endian, microseconds: what tcpdump writes on the machines that this runs on.
const MAGIC: [u8; 4] = [0xd4, 0xc3, 0xb2, 0xa1];
const ETHERNET: u32 = 1;
const FILE_HEAD: usize = 24;
const PACKET_HEAD: usize = 16;
const ETHERNET_HEAD: usize = 14;
const TCP: u8 = 6;
const IPV6_HEAD: usize = 40;

#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    pub time: f64,
    pub from: u16,
    pub to: u16,
    pub sequence: u32,
    acknowledged: u32,
    flags: u8,
    pub payload: &'a [u8],
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

impl Packet<'_> {
    pub fn is_begin(&self) -> bool {
        self.flags & SYN != 0
    }

    /// The sequence number of what comes after it.
    pub fn after(&self) -> u32 {
        let length = u32::try_from(self.payload.len()).unwrap_or(0);
        self.sequence.wrapping_add(length)
    }

    /// Whether its sender had got everything before `number`.
    pub fn acknowledges(&self, number: u32) -> bool {
        self.acknowledged.wrapping_sub(number) < 1 << 31
    }

    /// Of this direction, or of both.
    pub fn is_end(&self) -> bool {
        self.flags & (FIN | RST) != 0
    }
}

/// All packets that are there whole; others than TCP are left out.
pub fn each(file: &[u8]) -> Result<impl Iterator<Item = Packet<'_>>> {
    ensure!(
        file.starts_with(&MAGIC) && word(file, 20) == Some(ETHERNET),
        "not a pcap file of tcpdump's"
    );
    let mut rest = file.get(FILE_HEAD..).unwrap_or_default();
    Ok(std::iter::from_fn(move || {
        loop {
            let length = usize::try_from(word(rest, 8)?).ok()?;
            let (seconds, micros) = (word(rest, 0)?, word(rest, 4)?);
            let frame = rest.get(PACKET_HEAD..PACKET_HEAD + length)?;
            rest = rest.get(PACKET_HEAD + length..)?;
            let time = f64::from(seconds) + f64::from(micros) / 1e6;
            if let Some(packet) = segment(frame, time) {
                return Some(packet);
            }
        }
    }))
}

fn segment(frame: &[u8], time: f64) -> Option<Packet<'_>> {
    let packet = frame.get(ETHERNET_HEAD..)?;
    let (head, length, protocol) = match frame.get(12..ETHERNET_HEAD)? {
        [0x08, 0x00] => {
            let head = usize::from(packet.first()? & 15) * 4;
            (head, usize::from(half(packet, 2)?), *packet.get(9)?)
        }
        [0x86, 0xdd] => (
            IPV6_HEAD,
            IPV6_HEAD + usize::from(half(packet, 4)?),
            *packet.get(6)?,
        ),
        _ => return None,
    };
    let tcp = packet.get(head..length).filter(|_| protocol == TCP)?;
    let offset = usize::from(tcp.get(12)? >> 4) * 4;
    Some(Packet {
        time,
        from: half(tcp, 0)?,
        to: half(tcp, 2)?,
        sequence: u32::from_be_bytes(tcp.get(4..8)?.try_into().ok()?),
        acknowledged: u32::from_be_bytes(tcp.get(8..12)?.try_into().ok()?),
        flags: *tcp.get(13)?,
        payload: tcp.get(offset..)?,
    })
}

/// In the byte order of the file.
fn word(bytes: &[u8], place: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(place..place + 4)?.try_into().ok()?))
}

/// In the byte order of the network.
fn half(bytes: &[u8], place: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(place..place + 2)?.try_into().ok()?))
}
