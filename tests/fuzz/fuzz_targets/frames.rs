//! Pieces of frames in any order: no panic, and memory within the ceiling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observer::http2::{Assembly, Piece, StreamId};
use observer_ebpf::record::MAX_HEADER_BLOCK;

fuzz_target!(|data: &[u8]| {
    let mut assembly = Assembly::new(data.first().is_some_and(|byte| byte & 1 == 1));
    let mut rest = data;
    // Six bytes make a head: type, flags, stream, length (scaled), offset (scaled), payload length.
    while let Some((&[frame_type, flags, stream, length, offset, size], after)) = rest.split_first_chunk() {
        let (payload, after) = after.split_at(usize::from(size).min(after.len()));
        rest = after;
        let large = vec![
            0x40;
            if frame_type & 0x80 == 0 {
                0
            } else {
                usize::from(size) << 8
            }
        ];
        let payload = if large.is_empty() { payload } else { &large };
        let piece = Piece {
            frame_type: frame_type & 0xf,
            flags,
            stream: StreamId::new(stream.into()),
            length: if frame_type & 0x40 == 0 {
                length.into()
            } else {
                u32::from(length) << 12
            },
            offset: if frame_type & 0x20 == 0 {
                offset.into()
            } else {
                u32::from(offset) << 8
            },
            time: 0,
            payload,
        };
        if assembly.push(&piece).is_ok_and(|frame| frame.is_some()) {
            assembly.release();
        }
        assert!(assembly.memory() <= 4 * MAX_HEADER_BLOCK as usize);
    }
});
