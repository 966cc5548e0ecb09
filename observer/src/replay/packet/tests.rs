//! Packets made by hand, then spoilt.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the lengths are those of packets made here"
)]

use proptest::prelude::*;

use super::*;

/// A TCP segment of 24 bytes of head (one option) with this payload.
fn tcp(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![
        0x1f, 0x90, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, 0x60, ACK, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0,
    ];
    bytes.extend(payload);
    bytes
}

fn ipv4(options: usize, fragment: u16, total: Option<u16>, rest: &[u8]) -> Vec<u8> {
    let header = 20 + options * 4;
    let total = total.unwrap_or((header + rest.len()) as u16);
    let mut bytes = vec![0x40 | (header / 4) as u8, 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.resize(header, 1);
    bytes.extend(rest);
    bytes
}

fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((rest.len() as u16).to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend([[0xfd; 16], [0xfe; 16]].concat());
    bytes.extend(rest);
    bytes
}

fn check(bytes: &[u8], expected: Result<(u32, &[u8]), Refusal>) {
    let decoded = decode(bytes, bytes.len() as u32).map(|segment| (segment.length, segment.payload));
    assert_eq!(decoded, expected, "{bytes:?}");
}

#[test]
fn version_4() {
    check(&ipv4(0, 0, None, &tcp(b"abc")), Ok((3, b"abc")));
    check(&ipv4(3, 0x4000, None, &tcp(b"abc")), Ok((3, b"abc")));
    // Padded by the link layer; not cut into segments yet; cut by the capture.
    check(
        &[ipv4(0, 0, None, &tcp(b"abc")), vec![0; 9]].concat(),
        Ok((3, b"abc")),
    );
    check(&ipv4(0, 0, Some(0), &tcp(b"abc")), Ok((3, b"abc")));
    check(&ipv4(0, 0, Some(1000), &tcp(b"abc")), Ok((956, b"abc")));
    check(&ipv4(0, 0x2000, None, &tcp(b"abc")), Err(Refusal::Fragment));
    check(&ipv4(0, 0x0010, None, &tcp(b"abc")), Err(Refusal::Fragment));
    check(&ipv4(0, 0, Some(19), &tcp(b"abc")), Err(Refusal::Unreadable));
    check(&ipv4(0, 0, None, &tcp(b"")[..19]), Err(Refusal::Unreadable));
    check(&[0x45; 10], Err(Refusal::Unreadable));
}

#[test]
fn version_6() {
    check(&ipv6(6, &tcp(b"abc")), Ok((3, b"abc")));
    let hop_by_hop = [&[60, 0, 0, 0, 0, 0, 0, 0, 6, 1][..], &[0; 14], &tcp(b"abc")].concat();
    check(&ipv6(0, &hop_by_hop), Ok((3, b"abc")));
    let whole = [&[6, 0, 0, 0, 1, 2, 3, 4][..], &tcp(b"abc")].concat();
    check(&ipv6(44, &whole), Ok((3, b"abc")));
    let part = [&[6, 0, 0, 1, 1, 2, 3, 4][..], &tcp(b"abc")].concat();
    check(&ipv6(44, &part), Err(Refusal::Fragment));
    check(&ipv6(17, &tcp(b"abc")), Err(Refusal::NotTcp));
}

#[test]
fn addresses_are_shown_as_they_are_written() {
    let packet = ipv4(0, 0, None, &tcp(b""));
    let segment = decode(&packet, 44).unwrap();
    assert_eq!(
        (segment.from.to_string(), segment.to.to_string()),
        ("10.0.0.1:8080".into(), "10.0.0.2:80".into())
    );
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), wire: u32, version in 4u8..7) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = version << 4 | *first & 15;
        }
        if let Ok(segment) = decode(&bytes, wire) {
            prop_assert!(segment.payload.len() <= segment.length as usize);
        }
    }

    #[test]
    fn spoilt_packets(place: prop::sample::Index, byte: u8, cut: prop::sample::Index, six: bool) {
        let mut packet = if six { ipv6(6, &tcp(b"hello")) } else { ipv4(2, 0, None, &tcp(b"hello")) };
        let place = place.index(packet.len());
        packet[place] = byte;
        packet.truncate(cut.index(packet.len() + 1));
        let _ = decode(&packet, 60);
    }
}
