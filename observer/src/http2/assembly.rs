//! One direction of a connection: puts pieces together to frames, and frames to header blocks.
//!
//! A block that arrives in one piece is handed on where it lies; only what is cut is copied. Whatever does not
//! fit together leaves an empty assembly and is told; the caller may then offer the same piece again, as the
//! first of something new.

use std::ops::Range;

use observer_ebpf::record::{
    ACK, CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, MAX_HEADER_BLOCK, PUSH_PROMISE, RST_STREAM,
    SETTINGS, delivered_length,
};
use thiserror::Error;

use super::{Block, ErrorCode, Frame, Piece, StreamId, TableSize, header_block};

/// Memory that an assembly keeps between blocks. Most blocks arrive whole and need none.
const KEPT: usize = 256;

/// The pieces do not make frames, or the frames no valid sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    #[error("a piece that does not continue the one before")]
    Piece,
    #[error("another frame inside a header block, or the rest of a block without its beginning")]
    Interleaved,
    #[error("a frame of a size that its type does not allow")]
    FrameSize,
}

#[derive(Debug, Default)]
pub struct Assembly {
    /// The fields of an unfinished block, and behind them the pieces of an unfinished frame.
    held: Vec<u8>,
    frame: Option<OpenFrame>,
    block: Option<OpenBlock>,
    /// The beginning of what comes may have been missed; its rest is to be passed over in silence.
    adrift: bool,
}

#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    frame_type: u8,
    flags: u8,
    stream: StreamId,
    length: u32,
    received: u32,
    begun: u64,
}

#[derive(Clone, Copy, Debug)]
struct OpenBlock {
    frame_type: u8,
    stream: StreamId,
    end_stream: bool,
    begun: u64,
    fault: Option<Fault>,
    /// Bytes of fields in `held`.
    length: usize,
}

/// Why the rest of a block is only waited for.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Oversized,
    Malformed,
}

/// Where the payload of a finished frame lies.
enum Place<'a> {
    Record(&'a [u8]),
    Held(Range<usize>),
}

impl Assembly {
    /// `joined`: the first piece may be in the middle of something.
    #[must_use]
    pub fn new(joined: bool) -> Self {
        Self {
            adrift: joined,
            ..Self::default()
        }
    }

    /// Takes the next piece; gives a frame where it completes one.
    #[inline]
    pub fn push<'a>(&'a mut self, piece: &Piece<'a>) -> Result<Option<Frame<'a>>, Broken> {
        match self.whole_block(piece) {
            Some(frame) => Ok(Some(frame)),
            None => self.assemble(piece),
        }
    }

    /// The short way of nearly every header block: all of it in one piece, and nothing unfinished or lost before it. The
    /// long way comes to the same, and neither leaves a trace in the assembly.
    #[inline]
    #[must_use]
    pub fn whole_block<'a>(&self, piece: &Piece<'a>) -> Option<Frame<'a>> {
        let &Piece {
            frame_type: HEADERS,
            flags,
            stream,
            length: length @ ..=MAX_HEADER_BLOCK,
            offset: 0,
            time,
            payload,
        } = piece
        else {
            return None;
        };
        let is_whole = flags & END_HEADERS != 0 && u32::try_from(payload.len()) == Ok(length);
        if !is_whole || self.adrift || self.frame.is_some() || self.block.is_some() {
            return None;
        }
        let fields = header_block::fields(HEADERS, flags, payload.len(), payload.first().copied())?;
        Some(Frame::Headers {
            stream,
            end_stream: flags & END_STREAM != 0,
            begun: time,
            block: Block::Whole(payload.get(fields)?),
        })
    }

    fn assemble<'a>(&'a mut self, piece: &Piece<'a>) -> Result<Option<Frame<'a>>, Broken> {
        if self.adrift && (piece.offset > 0 || piece.frame_type == CONTINUATION) {
            return Ok(None);
        }
        self.adrift = false;
        match self.receive(piece) {
            Err(broken) => {
                self.clear();
                Err(broken)
            }
            Ok(None) => Ok(None),
            Ok(Some((frame, place))) => self.finish(frame, place),
        }
    }

    /// Drops what is unfinished. What comes next may be the rest of something not seen.
    pub fn clear(&mut self) {
        self.frame = None;
        self.block = None;
        self.adrift = true;
        self.release();
    }

    /// To be called when a frame has been dealt with: gives back memory.
    #[inline]
    pub fn release(&mut self) {
        if self.held.capacity() > 0 && self.frame.is_none() && self.block.is_none() {
            self.held.clear();
            self.held.shrink_to(KEPT);
        }
    }

    /// Whether a header block has begun and not ended.
    #[must_use]
    pub const fn is_inside_block(&self) -> bool {
        self.block.is_some()
    }

    /// Bytes on the heap.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.held.capacity()
    }

    /// Bytes of `held` that belong to the unfinished block.
    fn block_length(&self) -> usize {
        self.block.map_or(0, |block| block.length)
    }

    fn receive<'a>(&mut self, piece: &Piece<'a>) -> Result<Option<(OpenFrame, Place<'a>)>, Broken> {
        let mut frame = self.continue_frame(piece)?;
        let wanted = delivered_length(piece.frame_type, piece.length);
        let size = u32::try_from(piece.payload.len()).map_err(|_| Broken::Piece)?;
        let before = frame.received;
        frame.received = before
            .checked_add(size)
            .filter(|&all| all <= wanted)
            .ok_or(Broken::Piece)?;
        // The kernel withholds what is above the ceiling for a block, and says so by a piece with nothing in it.
        let withheld = before == 0 && size == 0;
        if before == 0 && (frame.received == wanted || withheld) {
            self.frame = None;
            return Ok(Some((frame, Place::Record(piece.payload))));
        }
        let start = self.block_length();
        if before == 0 {
            self.held.truncate(start);
        }
        self.held.extend_from_slice(piece.payload);
        if frame.received < wanted {
            self.frame = Some(frame);
            return Ok(None);
        }
        self.frame = None;
        Ok(Some((frame, Place::Held(start..self.held.len()))))
    }

    fn continue_frame(&self, piece: &Piece<'_>) -> Result<OpenFrame, Broken> {
        let &Piece {
            frame_type,
            flags,
            stream,
            length,
            offset,
            time,
            payload: _,
        } = piece;
        if let Some(frame) = self.frame {
            let same = (frame.frame_type, frame.flags, frame.stream, frame.length)
                == (frame_type, flags, stream, length);
            return if same && offset == frame.received && offset > 0 {
                Ok(frame)
            } else {
                Err(Broken::Piece)
            };
        }
        if offset != 0 {
            return Err(Broken::Piece);
        }
        let fits = match self.block {
            Some(block) => frame_type == CONTINUATION && stream == block.stream,
            None => frame_type != CONTINUATION,
        };
        if !fits {
            return Err(Broken::Interleaved);
        }
        Ok(OpenFrame {
            frame_type,
            flags,
            stream,
            length,
            received: 0,
            begun: time,
        })
    }

    fn finish<'a>(&'a mut self, frame: OpenFrame, place: Place<'a>) -> Result<Option<Frame<'a>>, Broken> {
        match frame.frame_type {
            HEADERS | PUSH_PROMISE => Ok(self.begin_block(frame, place)),
            CONTINUATION => Ok(self.continue_block(frame, &place)),
            _ => {
                let payload = match place {
                    Place::Record(payload) => payload,
                    Place::Held(range) => self.held.get(range).unwrap_or_default(),
                };
                control(frame, payload)
            }
        }
    }

    fn begin_block<'a>(&'a mut self, frame: OpenFrame, place: Place<'a>) -> Option<Frame<'a>> {
        let OpenFrame {
            frame_type,
            flags,
            stream,
            length,
            received,
            begun,
        } = frame;
        let mut block = OpenBlock {
            frame_type,
            stream,
            end_stream: flags & END_STREAM != 0,
            begun,
            fault: None,
            length: 0,
        };
        let (first, size) = match &place {
            Place::Record(payload) => (payload.first(), payload.len()),
            Place::Held(range) => (self.held.get(range.start), range.len()),
        };
        let fields = header_block::fields(frame_type, flags, size, first.copied());
        if received < length {
            block.fault = Some(Fault::Oversized);
        } else if fields.is_none() {
            block.fault = Some(Fault::Malformed);
        }
        let fields = fields.unwrap_or_default();
        if flags & END_HEADERS != 0 {
            let bytes = match place {
                Place::Record(payload) => payload.get(fields),
                Place::Held(range) => self.held.get(range).and_then(|payload| payload.get(fields)),
            };
            return Some(block.frame(bytes.unwrap_or_default()));
        }
        if block.fault.is_none() {
            match place {
                Place::Record(payload) => {
                    self.held.clear();
                    self.held
                        .extend_from_slice(payload.get(fields).unwrap_or_default());
                }
                // No block was open, so the frame lies at the beginning.
                Place::Held(_) => {
                    self.held.truncate(fields.end);
                    self.held.drain(..fields.start.min(fields.end));
                }
            }
            block.length = self.held.len();
        } else {
            self.held = Vec::new();
        }
        self.block = Some(block);
        None
    }

    fn continue_block(&mut self, frame: OpenFrame, place: &Place<'_>) -> Option<Frame<'_>> {
        let mut block = self.block.take()?;
        let more = if let Place::Record(payload) = place {
            *payload
        } else {
            &[]
        };
        let total = self.held.len().saturating_add(more.len());
        let over = u32::try_from(total).is_ok_and(|total| total > MAX_HEADER_BLOCK);
        if over || frame.received < frame.length {
            block.fault = block.fault.or(Some(Fault::Oversized));
        }
        if block.fault.is_some() {
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(more);
        }
        block.length = self.held.len();
        if frame.flags & END_HEADERS != 0 {
            return Some(block.frame(&self.held));
        }
        self.block = Some(block);
        None
    }
}

impl OpenBlock {
    fn frame(self, bytes: &[u8]) -> Frame<'_> {
        let block = match self.fault {
            None => Block::Whole(bytes),
            Some(Fault::Oversized) => Block::Oversized,
            Some(Fault::Malformed) => Block::Malformed,
        };
        if self.frame_type == PUSH_PROMISE {
            return Frame::PushPromise { block };
        }
        let Self {
            stream,
            end_stream,
            begun,
            ..
        } = self;
        Frame::Headers {
            stream,
            end_stream,
            begun,
            block,
        }
    }
}

fn control(frame: OpenFrame, payload: &[u8]) -> Result<Option<Frame<'_>>, Broken> {
    Ok(match (frame.frame_type, payload) {
        (RST_STREAM, &[a, b, c, d]) if frame.length == 4 => {
            let code = ErrorCode::new(u32::from_be_bytes([a, b, c, d]));
            Some(Frame::Reset {
                stream: frame.stream,
                code,
            })
        }
        // Behind it come a code and a text; what counts is which streams are not processed.
        (GOAWAY, &[a, b, c, d, _, _, _, _]) => Some(Frame::GoAway {
            last: StreamId::new(u32::from_be_bytes([a, b, c, d])),
        }),
        (RST_STREAM | GOAWAY, _) => return Err(Broken::FrameSize),
        (SETTINGS, _) if frame.flags & ACK == 0 => Some(Frame::Settings(TableSize::decode(
            payload,
            frame.received == frame.length,
        ))),
        _ => None,
    })
}
