//! Frames as values, and header blocks cut into frames.

use observer_ebpf::record::{CONTINUATION, END_HEADERS, HEADERS, PADDED, PRIORITY_FLAG};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub frame_type: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The bytes of the frame on the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len())
            .expect("a frame's length")
            .to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.frame_type, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// HEADERS, or another frame that begins with `before`, and CONTINUATIONs of at most `most` bytes of fields each.
#[must_use]
pub fn header_frames(
    first: &Frame,
    fields: &[u8],
    most: usize,
    padding: Option<u8>,
    priority: bool,
) -> Vec<Frame> {
    let (begin, mut rest) = fields.split_at(most.min(fields.len()));
    let mut payload = Vec::new();
    let mut flags = first.flags;
    if let Some(padding) = padding {
        payload.push(padding);
        flags |= PADDED;
    }
    if priority && first.frame_type == HEADERS {
        payload.extend([0, 0, 0, 0, 16]);
        flags |= PRIORITY_FLAG;
    }
    payload.extend(&first.payload);
    payload.extend(begin);
    payload.extend(std::iter::repeat_n(0, padding.unwrap_or(0).into()));
    let mut frames = vec![Frame {
        flags,
        payload,
        ..first.clone()
    }];
    while !rest.is_empty() {
        let piece;
        (piece, rest) = rest.split_at(most.min(rest.len()));
        frames.push(Frame {
            frame_type: CONTINUATION,
            flags: 0,
            stream: first.stream,
            payload: piece.to_vec(),
        });
    }
    if let Some(last) = frames.last_mut() {
        last.flags |= END_HEADERS;
    }
    frames
}
