//! Link layers: where in a captured packet the IP packet begins. Knows the numbers that libpcap registers.

/// Tags of one packet: 802.1ad has two; more is an attack or a loop.
const MAX_TAGS: usize = 4;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and what was used before it.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// Why there is no IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A link layer that is not known.
    Link,
    /// Something else than IP: ARP, LLDP.
    NotIp,
    /// Too short for what it says to be.
    Short,
}

/// The IP packet in a packet of the link layer with this number.
pub fn network_layer(link: u32, bytes: &[u8]) -> Result<&[u8], Refusal> {
    match link {
        // BSD loopback: the address family in the machine's byte order, or the network's.
        0 | 108 => raw(bytes.get(4..).ok_or(Refusal::Short)?),
        1 => {
            let (head, rest) = bytes.split_first_chunk::<14>().ok_or(Refusal::Short)?;
            let [.., a, b] = *head;
            tagged(u16::from_be_bytes([a, b]), rest)
        }
        // Raw IP; the first two are what some systems use.
        12 | 14 | 101 | 228 | 229 => raw(bytes),
        // Linux "cooked", which is what a capture on all interfaces has.
        113 => {
            let (head, rest) = bytes.split_first_chunk::<16>().ok_or(Refusal::Short)?;
            let [.., a, b] = *head;
            tagged(u16::from_be_bytes([a, b]), rest)
        }
        276 => {
            let (head, rest) = bytes.split_first_chunk::<20>().ok_or(Refusal::Short)?;
            let [a, b, ..] = *head;
            tagged(u16::from_be_bytes([a, b]), rest)
        }
        _ => Err(Refusal::Link),
    }
}

fn tagged(mut kind: u16, mut bytes: &[u8]) -> Result<&[u8], Refusal> {
    for _ in 0..=MAX_TAGS {
        if matches!(kind, IPV4 | IPV6) {
            return raw(bytes);
        }
        if !TAGS.contains(&kind) {
            break;
        }
        let (&[_, _, a, b], rest) = bytes.split_first_chunk::<4>().ok_or(Refusal::Short)?;
        kind = u16::from_be_bytes([a, b]);
        bytes = rest;
    }
    Err(Refusal::NotIp)
}

fn raw(bytes: &[u8]) -> Result<&[u8], Refusal> {
    match bytes.first().ok_or(Refusal::Short)? >> 4 {
        4 | 6 => Ok(bytes),
        _ => Err(Refusal::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(link: u32, head: &[u8], expected: Result<(), Refusal>) {
        let mut bytes = head.to_vec();
        bytes.extend([0x45, 0, 0, 20]);
        assert_eq!(
            network_layer(link, &bytes),
            expected.map(|()| &bytes[head.len()..]),
            "{link} {head:?}"
        );
    }

    #[test]
    fn links() {
        let ethernet = |rest: &[u8]| [&[2; 12], rest].concat();
        check(1, &ethernet(&[8, 0]), Ok(()));
        check(1, &ethernet(&[0x81, 0, 0, 7, 8, 0]), Ok(()));
        check(1, &ethernet(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 8, 0]), Ok(()));
        check(1, &ethernet(&[8, 6]), Err(Refusal::NotIp));
        check(1, &[0x81, 0].repeat(20), Err(Refusal::NotIp));
        check(0, &[2, 0, 0, 0], Ok(()));
        check(108, &[0, 0, 0, 2], Ok(()));
        check(101, &[], Ok(()));
        check(113, &[&[0; 14][..], &[8, 0]].concat(), Ok(()));
        check(
            113,
            &[&[0; 14][..], &[0x81, 0, 0, 3, 0x86, 0xdd]].concat(),
            Ok(()),
        );
        check(276, &[&[8, 0][..], &[0; 18]].concat(), Ok(()));
        check(147, &[], Err(Refusal::Link));
        assert_eq!(network_layer(1, &[0; 13]), Err(Refusal::Short));
        assert_eq!(network_layer(101, &[]), Err(Refusal::Short));
        assert_eq!(network_layer(101, &[0x10]), Err(Refusal::NotIp));
    }
}
