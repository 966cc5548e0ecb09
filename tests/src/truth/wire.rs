//! What the wire shows of calls, read from the recorded packets: when each began and how it ended, in the order of
//! the packets. Nothing of the observer's decoding is used, since it is what this judges; and nothing of HPACK is needed.
//! For plain loopback captures of classic pcap, as [`super::dump`] makes them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};

use crate::scrape::calls::Side;

mod flow;
mod packet;

use flow::{Flow, Frame};
use packet::Packet;

/// How a call ends on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// HEADERS with `END_STREAM` from the server: the status is in it.
    Trailers,
    Reset,
    /// One side ended the connection under it.
    Closed,
}

/// A stream that a client opened; times in seconds of the capture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    pub begun: f64,
    pub ended: Option<(f64, End)>,
    /// Who sent that end.
    pub ended_by: Side,
    /// The end that the other side had sent before it got this one: at its own socket, that may have been the first.
    pub crossed: Option<End>,
    /// The sequence number after the packet of the end.
    after: u32,
}

impl Call {
    fn new(begun: f64) -> Self {
        Self {
            begun,
            ended: None,
            ended_by: Side::Client,
            crossed: None,
            after: 0,
        }
    }
}

/// What the packets of one port show.
#[derive(Debug, Default)]
pub struct Wire {
    /// In the order in which they began.
    pub calls: Vec<Call>,
    /// Ports of the clients of connections that one side has ended.
    pub closed: BTreeSet<u16>,
    /// Numbers of calls by their clients and streams.
    streams: BTreeMap<(u16, u32), usize>,
}

/// Reads a whole capture; one that still grows gives what is there.
pub fn read(capture: &[u8], port: u16) -> Result<Wire> {
    let (mut wire, mut flows) = (Wire::default(), BTreeMap::new());
    for packet in packet::each(capture)? {
        let Packet { from, to, .. } = packet;
        ensure!(from == port || to == port, "a packet of another port");
        let (client, is_request) = if to == port { (from, true) } else { (to, false) };
        if is_request && packet.is_begin() && wire.reopens(client) {
            flows.retain(|(of, _), _| *of != client);
        }
        let flow = flows
            .entry((client, is_request))
            .or_insert_with(|| Flow::new(is_request));
        for frame in flow.take(&packet) {
            wire.frame((client, is_request), frame, &packet);
        }
        if packet.is_end() {
            wire.close((client, is_request), &packet);
        }
    }
    Ok(wire)
}

impl Wire {
    /// Whether this port was another connection's, whose calls stay as they are.
    fn reopens(&mut self, client: u16) -> bool {
        self.streams.retain(|(of, _), _| *of != client);
        self.closed.remove(&client)
    }

    fn frame(&mut self, (client, is_request): (u16, bool), frame: Frame, packet: &Packet<'_>) {
        let key = (client, frame.stream);
        match frame.kind {
            flow::HEADERS if is_request => {
                self.streams.entry(key).or_insert_with(|| {
                    self.calls.push(Call::new(packet.time));
                    self.calls.len() - 1
                });
            }
            flow::HEADERS if frame.is_last => self.end(key, is_request, End::Trailers, packet),
            flow::RST_STREAM => self.end(key, is_request, End::Reset, packet),
            _ => {}
        }
    }

    /// What comes on a stream after its end changes nothing, unless its sender could not know of the end.
    fn end(&mut self, key: (u16, u32), is_request: bool, end: End, packet: &Packet<'_>) {
        let number = self.streams.get(&key).copied();
        let Some(call) = number.and_then(|number| self.calls.get_mut(number)) else {
            return;
        };
        let by = if is_request { Side::Client } else { Side::Server };
        if call.ended.is_none() {
            (call.ended, call.ended_by) = (Some((packet.time, end)), by);
            call.after = packet.after();
        } else if call.ended_by != by && !packet.acknowledges(call.after) {
            call.crossed.get_or_insert(end);
        }
    }

    fn close(&mut self, (client, is_request): (u16, bool), packet: &Packet<'_>) {
        self.closed.insert(client);
        let own = self.streams.range((client, 0)..=(client, u32::MAX));
        let keys: Vec<(u16, u32)> = own.map(|(key, _)| *key).collect();
        for key in keys {
            self.end(key, is_request, End::Closed, packet);
        }
    }
}

/// The same from a file.
pub fn of(file: &std::path::Path, port: u16) -> Result<Wire> {
    let capture = std::fs::read(file).with_context(|| file.display().to_string())?;
    read(&capture, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 50_051;
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /// A capture of segments: whether from the client, sequence number, payload; one microsecond apart. Only the last
    /// acknowledges anything: `acknowledged`.
    fn capture(segments: &[(bool, u32, &[u8])], acknowledged: u32) -> Vec<u8> {
        let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
        file.extend([0; 8]);
        file.extend(262_144_u32.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        for (number, (is_request, sequence, payload)) in segments.iter().enumerate() {
            let mut packet = vec![0; 12];
            packet.extend([8, 0]);
            let length = u16::try_from(40 + payload.len()).unwrap().to_be_bytes();
            packet.extend([0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 6, 0, 0]);
            packet.extend([127, 0, 0, 1, 127, 0, 0, 1]);
            let ports = if *is_request { [4000, PORT] } else { [PORT, 4000] };
            packet.extend(ports.map(u16::to_be_bytes).concat());
            packet.extend(sequence.to_be_bytes());
            let is_last = number + 1 == segments.len();
            packet.extend(if is_last { acknowledged } else { 0 }.to_be_bytes());
            packet.extend([0x50, 0x10, 0, 0, 0, 0, 0, 0]);
            packet.extend_from_slice(payload);
            let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
            file.extend(7_u32.to_le_bytes());
            file.extend(u32::try_from(number).unwrap().to_le_bytes());
            file.extend([length, length].concat());
            file.extend(packet);
        }
        file
    }

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    #[track_caller]
    fn check(segments: &[(bool, u32, &[u8])], expected: &[Option<End>]) {
        let wire = read(&capture(segments, 0), PORT).unwrap();
        let ends: Vec<Option<End>> = wire
            .calls
            .iter()
            .map(|call| call.ended.map(|(_, end)| end))
            .collect();
        assert_eq!(ends, expected);
    }

    #[test]
    fn the_first_end_counts() {
        let begin = [PREFACE, &frame(1, 4, 1, b"abc"), &frame(1, 4, 3, b"abc")].concat();
        let (reset, trailers) = (frame(3, 0, 1, &[0, 0, 0, 8]), frame(1, 5, 1, b"x"));
        let begun = (true, 10, begin.as_slice());
        let after = 10 + u32::try_from(begin.len()).unwrap();
        check(
            &[begun, (true, after, &reset), (false, 1, &trailers)],
            &[Some(End::Reset), None],
        );
        check(
            &[begun, (false, 1, &trailers), (true, after, &reset)],
            &[Some(End::Trailers), None],
        );
        let headers = frame(1, 4, 1, b"x");
        check(&[begun, (false, 1, &headers)], &[None, None]);
    }

    #[test]
    fn ends_that_cross() {
        let begin = [PREFACE, &frame(1, 4, 1, b"abc")].concat();
        let (reset, trailers) = (frame(3, 0, 1, &[0, 0, 0, 8]), frame(1, 5, 1, b"x"));
        let after = 10 + u32::try_from(begin.len()).unwrap();
        let end = 1 + u32::try_from(trailers.len()).unwrap();
        let segments: [(bool, u32, &[u8]); 3] =
            [(true, 10, &begin), (false, 1, &trailers), (true, after, &reset)];
        for (acknowledged, expected) in [(1, Some(End::Reset)), (end, None)] {
            let wire = read(&capture(&segments, acknowledged), PORT).unwrap();
            let call = wire.calls[0];
            assert_eq!((call.ended_by, call.crossed), (Side::Server, expected));
        }
    }

    /// Ports are few, and soon another connection's.
    #[test]
    fn a_port_that_is_used_again() {
        let begin = [PREFACE, &frame(1, 5, 1, b"abc")].concat();
        let mut file = capture(
            &[
                (true, 10, &begin),
                (true, 87, b""),
                (true, 900, b""),
                (true, 901, &begin),
            ],
            0,
        );
        let flags = |number: usize| {
            24 + (16 + 54) * number + begin.len() * usize::from(number > 0) + 16 + 14 + 20 + 13
        };
        for (number, flag) in [(1, 0x11), (2, 2)] {
            file[flags(number)] = flag;
        }
        let ends: Vec<_> = read(&file, PORT)
            .unwrap()
            .calls
            .iter()
            .map(|call| call.ended.is_some())
            .collect();
        assert_eq!(ends, [true, false]);
    }

    #[test]
    fn frames_over_segments_in_any_order_and_twice() {
        let begin = [PREFACE, &frame(0, 0, 1, &[1; 200]), &frame(1, 5, 5, b"abc")].concat();
        let (first, rest) = begin.split_at(100);
        let after = u32::MAX.wrapping_add(100);
        check(&[(true, u32::MAX, first), (true, after, rest)], &[None]);
        let (middle, last) = rest.split_at(40);
        let late = after.wrapping_add(40);
        let segments: [(bool, u32, &[u8]); 4] = [
            (true, u32::MAX, first),
            (true, late, last),
            (true, after, middle),
            (true, after, middle),
        ];
        check(&segments, &[None]);
    }

    #[test]
    fn a_file_that_still_grows() {
        let begin = [PREFACE, &frame(1, 5, 1, b"abc")].concat();
        let whole = capture(&[(true, 10, &begin), (false, 1, b"")], 0);
        for length in 24..whole.len() {
            assert!(read(&whole[..length], PORT).unwrap().calls.len() <= 1);
        }
        assert!(read(&[1; 40], PORT).is_err());
    }
}
