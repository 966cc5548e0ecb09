//! Files written by hand in every form, then cut and spoilt.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the lengths are those of packets made here"
)]

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    time: u64,
    link: u32,
    length: u32,
    bytes: Vec<u8>,
}

fn read(file: &[u8]) -> (Vec<Seen>, Option<Damage>) {
    let Ok(mut capture) = Capture::open(file) else {
        return (Vec::new(), None);
    };
    let mut seen = Vec::new();
    loop {
        match capture.packet() {
            Ok(Some(Packet {
                time,
                link,
                length,
                bytes,
            })) => {
                seen.push(Seen {
                    time,
                    link,
                    length,
                    bytes: bytes.to_vec(),
                });
            }
            Ok(None) => return (seen, None),
            Err(damage) => return (seen, Some(damage)),
        }
    }
}

/// A writer of both formats in both byte orders.
#[derive(Clone, Copy, Debug)]
struct Writer {
    big_endian: bool,
}

impl Writer {
    fn word(self, value: u32) -> [u8; 4] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn half(self, value: u16) -> [u8; 2] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn pcap(self, magic: u32, packets: &[&[u8]]) -> Vec<u8> {
        let mut file = self.word(magic).to_vec();
        file.extend([self.half(2), self.half(4)].concat());
        file.extend([self.word(0), self.word(0), self.word(262_144), self.word(101)].concat());
        for (index, packet) in packets.iter().enumerate() {
            let length = packet.len() as u32;
            let words = [index as u32 + 1, 5, length, length + 1];
            file.extend(words.map(|word| self.word(word)).concat());
            file.extend(*packet);
        }
        file
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let body = [body, &vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
        let length = self.word(body.len() as u32 + 12);
        [&self.word(kind)[..], &length, &body, &length].concat()
    }

    fn section(self) -> Vec<u8> {
        let magic = self.word(0x1a2b_3c4d);
        self.block(0x0a0d_0d0a, &[&magic[..], &[0, 1, 0, 0], &[0xff; 8]].concat())
    }

    fn interface(self, link: u16, options: &[u8]) -> Vec<u8> {
        self.block(
            1,
            &[&self.half(link)[..], &[0, 0], &self.word(0), options].concat(),
        )
    }

    fn packet(self, interface: u32, stamp: u64, packet: &[u8]) -> Vec<u8> {
        let length = packet.len() as u32;
        let words = [interface, (stamp >> 32) as u32, stamp as u32, length, length];
        self.block(
            6,
            &[&words.map(|word| self.word(word)).concat()[..], packet].concat(),
        )
    }
}

const WRITERS: [Writer; 2] = [Writer { big_endian: false }, Writer { big_endian: true }];

#[test]
fn pcap_in_all_forms() {
    for writer in WRITERS {
        for (magic, fraction) in [(0xa1b2_c3d4, 5000), (0xa1b2_3c4d, 5)] {
            let (seen, damage) = read(&writer.pcap(magic, &[b"one", b""]));
            let seen_at = |seconds: u64| seconds * 1_000_000_000 + fraction;
            let expected = [
                Seen {
                    time: seen_at(1),
                    link: 101,
                    length: 4,
                    bytes: b"one".to_vec(),
                },
                Seen {
                    time: seen_at(2),
                    link: 101,
                    length: 1,
                    bytes: Vec::new(),
                },
            ];
            assert_eq!(seen, expected);
            assert!(damage.is_none());
        }
    }
}

#[test]
fn pcapng_with_clocks_and_sections() {
    for writer in WRITERS {
        let nanoseconds = [&writer.half(9)[..], &writer.half(1), &[9, 0, 0, 0], &[0; 4]].concat();
        let binary = [&writer.half(9)[..], &writer.half(1), &[0x8a, 0, 0, 0], &[0; 4]].concat();
        let first = [
            writer.section(),
            writer.interface(1, &[]),
            writer.interface(113, &nanoseconds),
            writer.interface(101, &binary),
            writer.block(4, b"names of addresses"),
            writer.packet(0, 7, b"abc"),
            writer.packet(1, 7, b"defg"),
            writer.packet(2, 1024, b""),
            writer.block(3, &[&writer.word(2)[..], b"hi"].concat()),
        ];
        // A section of its own in the other byte order.
        let other = Writer {
            big_endian: !writer.big_endian,
        };
        let second = [
            other.section(),
            other.interface(0, &[]),
            other.packet(0, 1 << 33, b"x"),
        ];
        let (seen, damage) = read(&[first.concat(), second.concat()].concat());
        assert!(damage.is_none(), "{damage:?}");
        let seen: Vec<_> = seen
            .into_iter()
            .map(|seen| (seen.time, seen.link, seen.bytes))
            .collect();
        let expected = [
            (7000, 1, b"abc".to_vec()),
            (7, 113, b"defg".to_vec()),
            (1_000_000_000, 101, Vec::new()),
            (0, 1, b"hi".to_vec()),
            ((1 << 33) * 1000, 0, b"x".to_vec()),
        ];
        assert_eq!(seen, expected);
    }
}

fn damaged(file: &[u8], packets: usize, offset: usize, word: &str) {
    let (seen, damage) = read(file);
    let damage = damage.unwrap();
    assert_eq!((seen.len(), damage.offset), (packets, offset as u64), "{damage}");
    assert!(damage.to_string().contains(word), "{damage}");
}

#[test]
fn damage_is_told_with_its_place() {
    let [little, _] = WRITERS;
    let file = little.pcap(0xa1b2_c3d4, &[b"one", b"two"]);
    damaged(&file[..file.len() - 1], 1, 24 + 19, "middle of a packet");
    damaged(&file[..24 + 19 + 7], 1, 24 + 19, "middle of a packet");
    damaged(&file[..20], 0, 0, "middle of a file head");
    let mut huge = file.clone();
    huge[24 + 19 + 11] = 0x7f;
    damaged(&huge, 1, 24 + 19, "a packet of 2130706435 bytes");

    let head = [little.section(), little.interface(1, &[])].concat();
    let ng = [
        head.clone(),
        little.packet(0, 7, b"abcd"),
        little.packet(0, 7, b"abcd"),
    ]
    .concat();
    let second = head.len() + 36;
    damaged(&ng[..ng.len() - 1], 1, second, "middle of a block");
    let mut odd = ng.clone();
    odd[second + 4] += 1;
    damaged(&odd, 1, second, "a block of 37 bytes");
    let mut ends = ng.clone();
    ends[second + 32] += 4;
    damaged(&ends, 1, second, "a block of 40 bytes");
    damaged(
        &[head.clone(), little.packet(9, 7, b"")].concat(),
        0,
        head.len(),
        "interface 9",
    );
}

#[test]
fn other_files_are_refused_by_name() {
    let check = |file: &[u8], expected: &str| {
        let error = Capture::open(file).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(b"", "empty");
    check(b"PK\x03\x04zip", "50 4b 03 04");
    check(b"\x1f\x8b\x08\x00", "gzip");
    check(b"\x28\xb5\x2f\xfd", "zstd");
}

proptest! {
    #[test]
    fn any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 4..300), magic in 0usize..5) {
        let magics = [[0xa1, 0xb2, 0xc3, 0xd4], [0xd4, 0xc3, 0xb2, 0xa1], [0x4d, 0x3c, 0xb2, 0xa1], pcapng::SECTION];
        if let Some(magic) = magics.get(magic) {
            bytes[..4].copy_from_slice(magic);
        }
        read(&bytes);
    }

    /// A file that is cut anywhere gives the packets before the cut and tells the place, or ends between two.
    #[test]
    fn cut_anywhere(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..9), cut: prop::sample::Index) {
        let [little, _] = WRITERS;
        let head = [little.section(), little.interface(1, &[])].concat();
        let blocks: Vec<_> = packets.iter().map(|packet| little.packet(0, 1, packet)).collect();
        let file = [head.clone(), blocks.concat()].concat();
        let cut = head.len() + cut.index(file.len() + 1 - head.len());
        let (seen, damage) = read(&file[..cut]);
        let mut end = head.len();
        let whole = blocks.iter().take_while(|block| { end += block.len(); end <= cut }).count();
        prop_assert_eq!(seen.len(), whole);
        let begin: usize = head.len() + blocks[..whole].iter().map(Vec::len).sum::<usize>();
        prop_assert_eq!(damage.map(|damage| damage.offset), (begin < cut).then_some(begin as u64));
    }

    #[test]
    fn spoilt_files(place: prop::sample::Index, byte: u8) {
        let [_, big] = WRITERS;
        let mut file = [big.section(), big.interface(1, &[]), big.packet(0, 1, b"abc"), big.packet(0, 1, b"d")].concat();
        let place = place.index(file.len());
        file[place] = byte;
        read(&file);
    }
}
