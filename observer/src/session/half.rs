//! One direction of a connection: its frames and its header compression.

use super::SessionLosses;
use super::sequence::Sequence;
use crate::hpack::Decoder;
use crate::http2::{Assembly, Block, Broken, ErrorCode, Frame, Piece, StreamId, TableSize};
use crate::rpc::{Fields, Methods, Reader};

#[derive(Debug)]
pub(super) struct Half {
    pub(super) sequence: Sequence,
    pub(super) assembly: Assembly,
    pub(super) decoder: Decoder,
    /// Nothing more will be sent.
    pub(super) finished: bool,
}

/// A frame with its header block decoded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Nothing,
    Headers {
        stream: StreamId,
        end_stream: bool,
        begun: u64,
        fields: Fields,
    },
    Reset {
        stream: StreamId,
        code: ErrorCode,
    },
    GoAway {
        last: StreamId,
    },
    TableSize(TableSize),
}

impl Half {
    pub(super) fn new(joined: bool) -> Self {
        Self {
            sequence: Sequence::new(joined),
            assembly: Assembly::new(joined),
            decoder: if joined { Decoder::joined() } else { Decoder::new() },
            finished: false,
        }
    }

    pub(super) fn lose(&mut self) {
        self.assembly.clear();
        self.decoder.lose();
    }

    pub(super) fn memory(&self) -> usize {
        self.assembly.memory() + self.decoder.memory()
    }

    pub(super) fn read(
        &mut self,
        piece: &Piece<'_>,
        methods: &mut Methods,
        authority: &mut Option<Box<[u8]>>,
        losses: &mut SessionLosses,
    ) -> Result<Read, Broken> {
        let Self {
            assembly, decoder, ..
        } = self;
        let read = match assembly.push(piece)? {
            None => return Ok(Read::Nothing),
            Some(Frame::Headers {
                stream,
                end_stream,
                begun,
                block,
            }) => {
                let reader = Reader::new(methods, authority);
                let fields = decode(decoder, &block, reader, losses);
                Read::Headers {
                    stream,
                    end_stream,
                    begun,
                    fields,
                }
            }
            Some(Frame::PushPromise { block }) => {
                // For the table's sake. What is promised is a request, but nobody makes a call by it.
                decode(decoder, &block, Reader::new(methods, authority), losses);
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
    block: &Block<'_>,
    mut reader: Reader<'_>,
    losses: &mut SessionLosses,
) -> Fields {
    match block {
        Block::Whole(bytes) => {
            if decoder.decode(bytes, &mut reader).is_ok() {
                losses.calls.refused_methods += reader.refused;
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
