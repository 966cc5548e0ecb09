//! The walker over slices: what a kernel run does with packets, done with bytes in memory.

mod cuts;
mod joined;
mod noise;
mod shortly;
mod wire;

use std::vec::Vec;

use super::*;
use crate::record::DataCount;
use crate::record::Protocol;

/// What was told, pieces of a frame put together, so that it does not depend on how the bytes were cut.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Frame {
        frame_type: u8,
        flags: u8,
        stream: u32,
        length: u32,
        payload: Vec<u8>,
        data: Option<DataCount>,
    },
    Data {
        flags: u8,
        stream: u32,
        data: Option<DataCount>,
    },
    Gap(Loss),
}

/// Both directions of a connection.
struct Connection {
    walks: [Walk; 2],
    shared: Shared,
    told: [Vec<Told>; 2],
    protocols: Vec<Protocol>,
    /// When its segments are seen.
    time: u64,
    /// Whether it goes the short way where it can, as the programs over packets do.
    short: bool,
}

/// Steps that a segment may take. Every step but these goes on by a byte at least: the last one; one for a count
/// of DATA that has to be told before a head, which has nine bytes; one when a server turns out to speak first; and
/// one when a trial has convinced, which starts over at most once.
fn most_steps(length: usize) -> usize {
    2 * length + length / 9 + 5
}

impl Connection {
    fn new(walks: [Walk; 2], joined: bool) -> Self {
        let shared = Shared {
            joined: u8::from(joined),
            ..Shared::default()
        };
        Self {
            walks,
            shared,
            told: [Vec::new(), Vec::new()],
            protocols: Vec::new(),
            time: 1,
            short: true,
        }
    }

    /// Positions begin just below the end of the sequence numbers, so that all tests pass over it.
    fn from_start() -> Self {
        Self::new([Walk::from_start(START), Walk::from_start(START)], false)
    }

    fn protocol(&self) -> Protocol {
        Protocol::from_raw(self.shared.protocol)
    }

    /// A segment, in order, as the programs would walk it. `at` counts from the first byte of the direction.
    fn segment(&mut self, direction: Direction, at: usize, bytes: &[u8]) {
        if self.shared.settled != 0 || bytes.is_empty() {
            return;
        }
        let source = slice::Slice {
            start: START.wrapping_add(at as u32),
            time: self.time,
            bytes,
        };
        self.settle_start(direction, source.start);
        if self.short {
            self.short_way(direction, &source);
        }
        for _ in 0..most_steps(bytes.len()) {
            let walk = &mut self.walks[direction as usize];
            let tell = step(walk, &mut self.shared, direction, &source);
            match tell.what {
                What::Done => return,
                What::Nothing => {}
                What::Protocol => self.protocols.push(Protocol::from_raw(self.shared.protocol)),
                What::Reopen => self.walks[direction.other() as usize].phase = phase::REOPEN,
                _ => self.tell(direction, &tell, bytes),
            }
        }
        panic!(
            "no end of {} bytes: {:?}",
            bytes.len(),
            self.walks[direction as usize]
        );
    }

    fn short_way(&mut self, direction: Direction, source: &slice::Slice<'_>) {
        let walk = self.walks[direction as usize];
        if !is_short(&walk, &self.shared) {
            return;
        }
        let mut at = walk.next.wrapping_sub(source.start);
        while at < source.length() {
            let walk = &mut self.walks[direction as usize];
            match short(walk, &self.shared, direction, source, u64::from(at)) {
                Short::Passed(bytes) => at += bytes as u32,
                Short::Block(head) => {
                    at += HEAD_LENGTH;
                    let tell = Tell {
                        what: What::Frame,
                        frame_type: HEADERS,
                        flags: head.flags,
                        stream: head.stream(),
                        length: head.length,
                        at,
                        piece: head.length,
                        ..Tell::NOTHING
                    };
                    self.tell(direction, &tell, source.bytes);
                    at += head.length;
                }
                Short::Not => break,
            }
        }
        self.walks[direction as usize].next = source.start.wrapping_add(at);
    }

    fn settle_start(&mut self, direction: Direction, start: u32) {
        let walk = &mut self.walks[direction as usize];
        match walk.phase {
            phase::REOPEN => {
                walk.phase = phase::OPENING;
                walk.next = start;
            }
            phase::SEARCH | phase::TRIAL if start.wrapping_sub(walk.next).cast_signed() > 0 => {
                walk.lose(start);
            }
            _ => {}
        }
        assert!(
            walk.next.wrapping_sub(start).cast_signed() >= 0,
            "a hole nobody was told of: {walk:?}"
        );
    }

    fn tell(&mut self, direction: Direction, tell: &Tell, bytes: &[u8]) {
        let walk = &mut self.walks[direction as usize];
        let told = &mut self.told[direction as usize];
        let piece = &bytes[tell.at as usize..][..tell.piece as usize];
        assert!(piece.len() <= MAX_PIECE as usize);
        if tell.what == What::Frame && tell.offset > 0 {
            let Some(Told::Frame {
                frame_type,
                flags,
                stream,
                length,
                payload,
                ..
            }) = told.last_mut()
            else {
                panic!("a piece of nothing: {tell:?}");
            };
            let head = (*frame_type, *flags, *stream, *length, payload.len() as u32);
            assert_eq!(
                head,
                (tell.frame_type, tell.flags, tell.stream, tell.length, tell.offset)
            );
            payload.extend_from_slice(piece);
            return;
        }
        let data = Some(walk.data).filter(|data| data.bytes > 0);
        walk.data_told(self.time);
        let &Tell {
            frame_type,
            flags,
            stream,
            length,
            ..
        } = tell;
        told.push(match tell.what {
            What::Frame => Told::Frame {
                frame_type,
                flags,
                stream,
                length,
                payload: piece.to_vec(),
                data,
            },
            What::Data => Told::Data { flags, stream, data },
            _ => Told::Gap(Loss::from_raw(frame_type).unwrap()),
        });
    }

    /// Feeds the bytes of one direction cut at `cuts` (any numbers; they are brought into range).
    fn feed(&mut self, direction: Direction, at: usize, bytes: &[u8], cuts: &[usize]) {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut start = 0;
        for end in ends {
            self.segment(direction, at + start, &bytes[start..end]);
            start = end;
        }
    }
}

const START: u32 = 0u32.wrapping_sub(1000);
