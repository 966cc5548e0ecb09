//! The `h2` crate as peer: real clients and servers with random headers and table sizes, their bytes recorded in
//! memory and decoded, through the kernel's walker, cut anywhere, from the beginning and from the middle.

#![expect(clippy::unwrap_used, reason = "the functions below are parts of tests")]

#[path = "h2_peer/exchange.rs"]
mod exchange;

use observer::session::{CallEvent, MethodIndex, Session, Status};
use observer_ebpf::record::{CONTINUATION, Direction, END_HEADERS, HEADERS};
use proptest::prelude::*;
use wire::vocabulary::Everything;
use wire::{Frame, Kernel, PREFACE, Tap};

use self::exchange::{Answer, Call, Exchange, exchange};

fn metadata() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        Just("x-id".to_owned()),
        Just("x-trace".to_owned()),
        "x-[a-z]{1,20}"
    ];
    let value = prop_oneof![Just("same".to_owned()), "[ -~]{0,40}", "[a-z]{300,400}"];
    proptest::collection::vec((name, value.prop_map(|value| value.trim().to_owned())), 0..5)
}

fn call() -> impl Strategy<Value = Call> {
    let path = "/pkg\\.Service/(One|Two|Three|[A-Z][a-z]{1,30})";
    let answer = prop_oneof![
        4 => (0..17_u8).prop_map(Answer::Trailers),
        2 => (0..17_u8).prop_map(Answer::TrailersOnly),
        1 => Just(Answer::Reset),
    ];
    (path, metadata(), metadata(), answer, 0..2_000_usize).prop_map(
        |(path, request, response, answer, body)| Call {
            path,
            request,
            response,
            answer,
            body,
        },
    )
}

fn exchanges() -> impl Strategy<Value = Exchange> {
    let size = prop_oneof![
        Just(0_u32),
        Just(64),
        Just(300),
        Just(4096),
        Just(16_384),
        0..10_000_u32
    ];
    (size.clone(), size, proptest::collection::vec(call(), 1..24)).prop_map(
        |(client_table, server_table, calls)| Exchange {
            client_table,
            server_table,
            calls,
        },
    )
}

fn status(call: &Call) -> Status {
    match call.answer {
        Answer::Trailers(code) | Answer::TrailersOnly(code) => Status::from_index(code.into()).unwrap(),
        Answer::Reset => Status::Cancelled,
    }
}

/// Path and status of the calls in the order of their streams, `started` being required of each or not.
fn ended(session: &Session, events: &[CallEvent]) -> Vec<(u32, Option<String>, Status)> {
    let mut calls = Vec::new();
    for event in events {
        if let CallEvent::Ended(ended) = event {
            let path = String::from_utf8(session.method(ended.method).to_vec()).unwrap();
            let path = (ended.method != MethodIndex::UNKNOWN).then_some(path);
            calls.push((ended.stream.number(), path, ended.status));
        }
    }
    calls.sort_by_key(|call| call.0);
    calls
}

/// The frames of one direction's bytes.
fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut rest = bytes.strip_prefix(&PREFACE).unwrap_or(bytes);
    let mut frames = Vec::new();
    while let Some((&[a, b, c, frame_type, flags, d, e, f, g], after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes([0, a, b, c]);
        let (payload, after) = after.split_at(usize::try_from(length).unwrap());
        let stream = u32::from_be_bytes([d, e, f, g]);
        frames.push(Frame {
            frame_type,
            flags,
            stream,
            payload: payload.to_vec(),
        });
        rest = after;
    }
    frames
}

/// All header blocks of one direction. `h2` neither pads nor sends priorities.
fn blocks(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    let mut open = Vec::new();
    for frame in frames(bytes) {
        if frame.frame_type == HEADERS || frame.frame_type == CONTINUATION {
            open.extend(frame.payload);
            if frame.flags & END_HEADERS != 0 {
                blocks.push(std::mem::take(&mut open));
            }
        }
    }
    blocks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_call_is_seen(exchange_ in exchanges(), most in 1_usize..3_000) {
        let recorded = exchange(&exchange_);
        let mut tap = Tap::from_start();
        let mut session = Session::new(false);
        let mut events = Vec::new();
        let mut at = [0_u32; 2];
        for (time, (direction, bytes)) in recorded.iter().enumerate() {
            for piece in bytes.chunks(most) {
                let place = &mut at[*direction as usize];
                for (record, payload) in tap.segment(*direction, *place, piece, time as u64) {
                    session.on_record(&record, &payload, &mut events);
                }
                *place += u32::try_from(piece.len()).unwrap();
            }
        }
        let found = ended(&session, &events);
        let expected: Vec<_> = exchange_.calls.iter().enumerate().map(|(place, call)| {
            (2 * u32::try_from(place).unwrap() + 1, Some(call.path.clone()), status(call))
        }).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(session.losses().unknown_fields, 0);
        prop_assert_eq!(session.losses().resyncs, 0);
        let bytes: u64 = events.iter().map(|event| match event {
            CallEvent::Ended(ended) => ended.request_bytes + ended.response_bytes,
            CallEvent::Bytes { request, response, .. } => request + response,
            CallEvent::Started { .. } => 0,
        }).sum();
        let sent: usize = exchange_.calls.iter().map(Call::bytes).sum();
        prop_assert_eq!(bytes, sent as u64);
    }

    #[test]
    fn joined_anywhere_nothing_is_wrong(exchange_ in exchanges(), cut in any::<proptest::sample::Index>()) {
        let recorded = exchange(&exchange_);
        let frames = exchange::in_order(&recorded);
        let cut = cut.index(frames.len() + 1);
        let mut kernel = Kernel::new(4096);
        let mut session = Session::new(true);
        let mut events = Vec::new();
        for (time, (direction, frame)) in frames[cut..].iter().enumerate() {
            for (record, payload) in kernel.frame(*direction, frame, time as u64) {
                session.on_record(&record, &payload, &mut events);
            }
        }
        for (stream, path, found) in ended(&session, &events) {
            let call = &exchange_.calls[(stream as usize - 1) / 2];
            prop_assert!(path.is_none_or(|path| path == call.path));
            prop_assert!(found == Status::Unobserved || found == status(call), "{found:?} for {:?}", call.answer);
        }
    }

    #[test]
    fn every_field_is_right(exchange_ in exchanges()) {
        let recorded = exchange(&exchange_);
        for (direction, table) in [(Direction::Ingress, exchange_.server_table), (Direction::Egress, exchange_.client_table)] {
            let bytes: Vec<u8> =
                recorded.iter().filter(|(from, _)| *from == direction).flat_map(|(_, bytes)| bytes.clone()).collect();
            let mut decoder = observer::hpack::Decoder::new();
            decoder.allow(table);
            let mut everything = Everything::default();
            let blocks = blocks(&bytes);
            let mut told = Vec::new();
            for block in &blocks {
                everything.told.clear();
                prop_assert_eq!(decoder.decode(block, &mut everything), Ok(()));
                told.push(everything.told.clone());
            }
            let fields: Vec<_> = told.iter().flatten().flatten().cloned().collect();
            for call in &exchange_.calls {
                let sent = if direction == Direction::Ingress { &call.request } else { &call.response };
                if matches!(call.answer, Answer::Reset) && direction == Direction::Egress { continue; }
                for (name, value) in sent {
                    prop_assert!(fields.contains(&(name.clone().into_bytes(), value.clone().into_bytes())));
                }
            }
            for cut in 1..blocks.len() {
                let mut late = observer::hpack::Decoder::joined();
                for (block, told) in blocks[cut..].iter().zip(&told[cut..]) {
                    everything.told.clear();
                    prop_assert_eq!(late.decode(block, &mut everything), Ok(()));
                    prop_assert_eq!(everything.told.len(), told.len());
                    for (late, fresh) in everything.told.iter().zip(told) {
                        prop_assert!(late.is_none() || late == fresh);
                    }
                }
            }
        }
    }
}
