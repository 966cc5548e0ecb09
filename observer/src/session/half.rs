//! One direction of a connection: its frames and its header compression.

use super::SessionLosses;
use super::recent::RecentBlocks;
use super::sequence::Sequence;
use crate::hpack::Decoder;
use crate::http2::{Assembly, Block, Broken, ErrorCode, Frame, Piece, StreamId, TableSize};
use crate::rpc::{Fields, Methods, Reader};

#[derive(Debug)]
pub(super) struct Half {
    pub(super) sequence: Sequence,
    pub(super) assembly: Assembly,
    pub(super) decoder: Decoder,
    pub(super) recent: RecentBlocks,
    /// Nothing more will be sent.
    pub(super) finished: bool,
}

/// A frame with its header block decoded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Nothing,
    Headers(Headers),
    Reset { stream: StreamId, code: ErrorCode },
    GoAway { last: StreamId },
    TableSize(TableSize),
}

/// A header block, decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers {
    pub(super) stream: StreamId,
    pub(super) end_stream: bool,
    /// Time of its first piece.
    pub(super) begun: u64,
    pub(super) fields: Fields,
}

impl Half {
    pub(super) fn new(joined: bool) -> Self {
        Self {
            sequence: Sequence::new(joined),
            assembly: Assembly::new(joined),
            decoder: if joined { Decoder::joined() } else { Decoder::new() },
            recent: RecentBlocks::default(),
            finished: false,
        }
    }

    pub(super) fn lose(&mut self) {
        self.assembly.clear();
        self.decoder.lose();
    }

    pub(super) fn memory(&self) -> usize {
        self.assembly.memory() + self.decoder.memory() + self.recent.memory()
    }

    /// The short way of a header block that came before, as most do: what it says, if the record is all of it.
    #[inline]
    pub(super) fn recall(&mut self, piece: &Piece<'_>) -> Option<Headers> {
        let Some(Frame::Headers {
            stream,
            end_stream,
            begun,
            block: Block::Whole(bytes),
        }) = self.assembly.whole_block(piece)
        else {
            return None;
        };
        let fields = self.recent.find(bytes, self.decoder.generation())?;
        Some(Headers {
            stream,
            end_stream,
            begun,
            fields,
        })
    }

    pub(super) fn read(
        &mut self,
        piece: &Piece<'_>,
        methods: &mut Methods,
        authority: &mut Option<Box<[u8]>>,
        losses: &mut SessionLosses,
    ) -> Result<Read, Broken> {
        let Self {
            assembly,
            decoder,
            recent,
            ..
        } = self;
        let read = match assembly.push(piece)? {
            None => return Ok(Read::Nothing),
            Some(Frame::Headers {
                stream,
                end_stream,
                begun,
                block,
            }) => {
                let fields = match &block {
                    Block::Whole(bytes) => recent.find(bytes, decoder.generation()),
                    _ => None,
                };
                let fields = fields.unwrap_or_else(|| {
                    let reader = Reader::new(methods, authority);
                    decode(decoder, recent, &block, reader, losses)
                });
                Read::Headers(Headers {
                    stream,
                    end_stream,
                    begun,
                    fields,
                })
            }
            Some(Frame::PushPromise { block }) => {
                // For the table's sake. What is promised is a request, but nobody makes a call by it.
                let reader = Reader::new(methods, authority);
                decode(decoder, recent, &block, reader, losses);
                Read::Nothing
            }
            Some(Frame::Reset { stream, code }) => Read::Reset { stream, code },
            Some(Frame::GoAway { last }) => Read::GoAway { last },
            Some(Frame::Settings(size)) => Read::TableSize(size),
        };
        assembly.release();
        Ok(read)
    }
}

fn decode(
    decoder: &mut Decoder,
    recent: &mut RecentBlocks,
    block: &Block<'_>,
    mut reader: Reader<'_>,
    losses: &mut SessionLosses,
) -> Fields {
    match block {
        Block::Whole(bytes) => {
            let generation = decoder.generation();
            if decoder.decode(bytes, &mut reader).is_ok() {
                losses.calls.refused_methods += reader.refused;
                // A path that was refused is to be counted every time, and may find room later.
                if reader.refused == 0 && decoder.generation() == generation {
                    recent.offer(bytes, generation, &reader.fields);
                }
                return reader.fields;
            }
            losses.malformed_blocks += 1;
        }
        Block::Malformed => losses.malformed_blocks += 1,
        Block::Oversized => losses.oversized_blocks += 1,
    }
    losses.resyncs += 1;
    decoder.lose();
    Fields::lost()
}
