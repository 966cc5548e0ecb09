//! The newer format: sections of blocks; packets belong to interfaces, each with its link layer and its clock.

use std::io::Read;

use super::input::Input;
use super::{Cause, Damage, Found, MAX_PACKET};

/// The type of a section's head, the same in both byte orders; every file begins with it.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// A packet, its options and what surrounds it.
const MAX_BLOCK: u32 = MAX_PACKET + (1 << 16);
/// More than any machine has; a flood of descriptions must not fill memory.
pub(super) const MAX_INTERFACES: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Pcapng {
    begun: bool,
    big_endian: bool,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u32,
    /// Packets are cut to this; 0: they are not.
    most: u32,
    clock: Clock,
}

/// What a time stamp counts, and from when.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// The option as it is: the power of 10, or with the top bit that of 2.
    resolution: u8,
    /// Seconds since 1970.
    from: i64,
}

impl Clock {
    fn nanoseconds(self, stamp: u64) -> u64 {
        let stamp = u128::from(stamp) * 1_000_000_000;
        let power = u32::from(self.resolution & 0x7f);
        let since = if self.resolution & 0x80 != 0 {
            stamp.checked_shr(power).unwrap_or(0)
        } else {
            10_u128.checked_pow(power).map_or(0, |divisor| stamp / divisor)
        };
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        since.saturating_add_signed(self.from.saturating_mul(1_000_000_000))
    }
}

impl Pcapng {
    pub(super) fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Found>, Damage> {
        if !self.begun {
            // Its type was read to recognise the file.
            self.begun = true;
            self.section(input, 0)?;
        }
        loop {
            let begun = input.offset();
            let Some(kind) = input.begin::<4>("block")? else {
                return Ok(None);
            };
            if kind == SECTION {
                self.section(input, begun)?;
                continue;
            }
            let kind = self.word(kind);
            let length = self.length(input, begun)?;
            let is_read = matches!(
                kind,
                INTERFACE | OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET
            );
            if !is_read {
                input.skip((length - 12).into(), begun, "block")?;
                self.end(input, begun, length)?;
                continue;
            }
            if length > MAX_BLOCK {
                let cause = Cause::Length {
                    what: "block",
                    length: length.into(),
                };
                return Err(Damage { offset: begun, cause });
            }
            input.read(buffer, (length - 12) as usize, begun, "block")?;
            self.end(input, begun, length)?;
            let found = match kind {
                INTERFACE => self.interface(buffer).map(|()| None),
                SIMPLE_PACKET => self.simple(buffer).map(Some),
                _ => self.packet(buffer, kind).map(Some),
            };
            let found = found.map_err(|cause| Damage { offset: begun, cause })?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// The rest of a section's head: byte order first, without which not even the length can be read.
    fn section<R: Read>(&mut self, input: &mut Input<R>, begun: u64) -> Result<(), Damage> {
        let length = input.take::<4>(begun, "section")?;
        self.big_endian = match input.take::<4>(begun, "section")? {
            [0x1a, 0x2b, 0x3c, 0x4d] => true,
            [0x4d, 0x3c, 0x2b, 0x1a] => false,
            _ => {
                return Err(Damage {
                    offset: begun,
                    cause: Cause::ByteOrder,
                });
            }
        };
        self.interfaces.clear();
        let length = self.word(length);
        if length < 28 || !length.is_multiple_of(4) {
            let cause = Cause::Length {
                what: "section",
                length: length.into(),
            };
            return Err(Damage { offset: begun, cause });
        }
        input.skip((length - 16).into(), begun, "section")?;
        self.end(input, begun, length)
    }

    fn length<R: Read>(&self, input: &mut Input<R>, begun: u64) -> Result<u32, Damage> {
        let length = self.word(input.take::<4>(begun, "block")?);
        if length < 12 || !length.is_multiple_of(4) {
            let cause = Cause::Length {
                what: "block",
                length: length.into(),
            };
            return Err(Damage { offset: begun, cause });
        }
        Ok(length)
    }

    /// A block ends with its length again.
    fn end<R: Read>(&self, input: &mut Input<R>, begun: u64, length: u32) -> Result<(), Damage> {
        let again = self.word(input.take::<4>(begun, "block")?);
        if again == length {
            return Ok(());
        }
        let cause = Cause::Length {
            what: "block",
            length: again.into(),
        };
        Err(Damage { offset: begun, cause })
    }

    fn interface(&mut self, block: &[u8]) -> Result<(), Cause> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(Cause::Interfaces);
        }
        let short = || Cause::Length {
            what: "interface",
            length: block.len() as u64,
        };
        let (fixed, mut options) = block.split_first_chunk::<8>().ok_or_else(short)?;
        let [a, b, _, _, most @ ..] = *fixed;
        let mut clock = Clock {
            resolution: 6,
            from: 0,
        };
        while let Some((&[code0, code1, length0, length1], rest)) = options.split_first_chunk::<4>() {
            let length = usize::from(self.half(length0, length1));
            let value = rest.get(..length).ok_or_else(short)?;
            match (self.half(code0, code1), value) {
                (0, _) => break,
                (9, &[resolution]) => clock.resolution = resolution,
                (14, value) => {
                    if let Ok(bytes) = value.try_into() {
                        clock.from = if self.big_endian {
                            i64::from_be_bytes(bytes)
                        } else {
                            i64::from_le_bytes(bytes)
                        };
                    }
                }
                _ => {}
            }
            options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        self.interfaces.push(Interface {
            link: self.half(a, b).into(),
            most: self.word(most),
            clock,
        });
        Ok(())
    }

    fn packet(&self, block: &[u8], kind: u32) -> Result<Found, Cause> {
        let short = || Cause::Length {
            what: "packet",
            length: block.len() as u64,
        };
        let (fixed, _) = block.split_first_chunk::<20>().ok_or_else(short)?;
        let [
            i0,
            i1,
            i2,
            i3,
            h0,
            h1,
            h2,
            h3,
            l0,
            l1,
            l2,
            l3,
            c0,
            c1,
            c2,
            c3,
            w @ ..,
        ] = *fixed;
        // The obsolete block has a short interface number and a count of drops.
        let interface = if kind == OBSOLETE_PACKET {
            self.half(i0, i1).into()
        } else {
            self.word([i0, i1, i2, i3])
        };
        let described = self
            .interfaces
            .get(interface as usize)
            .ok_or(Cause::Interface(interface))?;
        let stamp = u64::from(self.word([h0, h1, h2, h3])) << 32 | u64::from(self.word([l0, l1, l2, l3]));
        let captured = self.word([c0, c1, c2, c3]);
        found(
            block,
            described,
            20,
            captured,
            self.word(w),
            described.clock.nanoseconds(stamp),
        )
    }

    /// A packet of the first interface, without a time.
    fn simple(&self, block: &[u8]) -> Result<Found, Cause> {
        let short = || Cause::Length {
            what: "packet",
            length: block.len() as u64,
        };
        let (length, rest) = block.split_first_chunk::<4>().ok_or_else(short)?;
        let described = self.interfaces.first().ok_or(Cause::Interface(0))?;
        let length = self.word(*length);
        let most = if described.most == 0 {
            u32::MAX
        } else {
            described.most
        };
        let there = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        found(block, described, 4, length.min(most).min(there), length, 0)
    }

    fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    fn half(&self, first: u8, second: u8) -> u16 {
        let bytes = [first, second];
        if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }
}

/// The place of a packet in its block, if it has room there.
fn found(
    block: &[u8],
    interface: &Interface,
    start: usize,
    captured: u32,
    length: u32,
    time: u64,
) -> Result<Found, Cause> {
    let captured = captured as usize;
    if captured > block.len().saturating_sub(start) {
        return Err(Cause::Length {
            what: "packet",
            length: captured as u64,
        });
    }
    Ok(Found {
        time,
        link: interface.link,
        length,
        start,
        captured,
    })
}
