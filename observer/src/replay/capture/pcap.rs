//! The older format: one head, then packets.

use std::io::Read;

use super::input::Input;
use super::{Cause, Damage, Found, MAX_PACKET};

#[derive(Debug)]
pub(super) struct Pcap {
    big_endian: bool,
    /// Nanoseconds of the smaller unit of time.
    unit: u64,
    /// Read with the first packet.
    link: Option<u32>,
}

impl Pcap {
    /// By the first four bytes, which say byte order and unit of time.
    pub(super) fn recognise(magic: [u8; 4]) -> Option<Self> {
        let (big_endian, unit) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
            _ => return None,
        };
        Some(Self {
            big_endian,
            unit,
            link: None,
        })
    }

    pub(super) fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Found>, Damage> {
        let link = match self.link {
            Some(link) => link,
            None => self.head(input)?,
        };
        let begun = input.offset();
        let Some(head) = input.begin::<16>("packet")? else {
            return Ok(None);
        };
        let [seconds, fraction, captured, length] = self.words(head);
        if captured > MAX_PACKET {
            let cause = Cause::Length {
                what: "packet",
                length: captured.into(),
            };
            return Err(Damage { offset: begun, cause });
        }
        let captured = captured as usize;
        input.read(buffer, captured, begun, "packet")?;
        let time = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit;
        Ok(Some(Found {
            time,
            link,
            length,
            start: 0,
            captured,
        }))
    }

    /// What follows the magic number: version, two fields that nobody fills, the longest packet, the link layer.
    fn head<R: Read>(&mut self, input: &mut Input<R>) -> Result<u32, Damage> {
        input.skip(16, 0, "file head")?;
        let link = self.word(input.take::<4>(0, "file head")?);
        // The upper bits say whether packets end in a check sum.
        let link = link & 0x03ff_ffff;
        self.link = Some(link);
        Ok(link)
    }

    fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    fn words(&self, bytes: [u8; 16]) -> [u32; 4] {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = self.word(*bytes);
        }
        words
    }
}
