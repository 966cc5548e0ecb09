//! From the bytes of the ring buffer to records. The kernel wrote them, but a decoder trusts nobody.

use observer_ebpf::record::{DataCount, Record, Socket};

/// The head and the payload of one record; `None`: shorter than it says.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<{ size_of::<Record>() }>()?;
    let mut fields = Fields(head);
    let record = Record {
        connection: u64::from_ne_bytes(fields.take()),
        time: u64::from_ne_bytes(fields.take()),
        sequence: u32::from_ne_bytes(fields.take()),
        kind: u8::from_ne_bytes(fields.take()),
        direction: u8::from_ne_bytes(fields.take()),
        frame_type: u8::from_ne_bytes(fields.take()),
        flags: u8::from_ne_bytes(fields.take()),
        stream: u32::from_ne_bytes(fields.take()),
        length: u32::from_ne_bytes(fields.take()),
        offset: u32::from_ne_bytes(fields.take()),
        payload: u32::from_ne_bytes(fields.take()),
        data: fields.data_count(),
        data_other: fields.data_count(),
    };
    let payload = rest.get(..usize::try_from(record.payload).ok()?)?;
    Some((record, payload))
}

/// The head of a record, as the kernel would write it.
#[must_use]
pub fn encode(record: &Record) -> [u8; size_of::<Record>()] {
    let Record {
        connection,
        time,
        sequence,
        kind,
        direction,
        frame_type,
        flags,
        stream,
        length,
        offset,
        payload,
        data,
        data_other,
    } = record;
    let mut bytes = [0; size_of::<Record>()];
    let fields: [&[u8]; 12] = [
        &connection.to_ne_bytes(),
        &time.to_ne_bytes(),
        &sequence.to_ne_bytes(),
        &[*kind, *direction, *frame_type, *flags],
        &stream.to_ne_bytes(),
        &length.to_ne_bytes(),
        &offset.to_ne_bytes(),
        &payload.to_ne_bytes(),
        &data.stream.to_ne_bytes(),
        &data.bytes.to_ne_bytes(),
        &data_other.stream.to_ne_bytes(),
        &data_other.bytes.to_ne_bytes(),
    ];
    for (place, byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
        *place = *byte;
    }
    bytes
}

/// The payload of a `Socket` record.
#[must_use]
pub fn decode_socket(payload: &[u8]) -> Option<Socket> {
    let bytes = payload.first_chunk::<{ size_of::<Socket>() }>()?;
    let mut fields = Fields(bytes);
    Some(Socket {
        cgroup: u64::from_ne_bytes(fields.take()),
        local: fields.take(),
        remote: fields.take(),
        local_port: u16::from_ne_bytes(fields.take()),
        remote_port: u16::from_ne_bytes(fields.take()),
        process: u32::from_ne_bytes(fields.take()),
        command: fields.take(),
        protocol: u8::from_ne_bytes(fields.take()),
        role: u8::from_ne_bytes(fields.take()),
        joined: u8::from_ne_bytes(fields.take()),
        requests: u8::from_ne_bytes(fields.take()),
        reserved: fields.take(),
    })
}

/// The payload of a `Socket` record, as the kernel would write it.
#[must_use]
pub fn encode_socket(socket: &Socket) -> [u8; size_of::<Socket>()] {
    let Socket {
        cgroup,
        local,
        remote,
        local_port,
        remote_port,
        process,
        command,
        protocol,
        role,
        joined,
        requests,
        reserved,
    } = socket;
    let mut bytes = [0; size_of::<Socket>()];
    let fields: [&[u8]; 12] = [
        &cgroup.to_ne_bytes(),
        local,
        remote,
        &local_port.to_ne_bytes(),
        &remote_port.to_ne_bytes(),
        &process.to_ne_bytes(),
        command,
        &[*protocol],
        &[*role],
        &[*joined],
        &[*requests],
        reserved,
    ];
    for (place, byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
        *place = *byte;
    }
    bytes
}

/// Consecutive fields of a `repr(C)` type without padding.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes. The callers take no more than the size of the type, which is checked before.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((taken, rest)) = self.0.split_first_chunk::<N>() else {
            return [0; N];
        };
        self.0 = rest;
        *taken
    }

    fn data_count(&mut self) -> DataCount {
        DataCount {
            stream: u32::from_ne_bytes(self.take()),
            bytes: u32::from_ne_bytes(self.take()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back() {
        let record = Record {
            connection: 1,
            time: 2,
            sequence: 3,
            kind: 4,
            direction: 5,
            frame_type: 6,
            flags: 7,
            stream: 8,
            length: 9,
            offset: 10,
            payload: 2,
            data: DataCount {
                stream: 11,
                bytes: 12,
            },
            data_other: DataCount {
                stream: 13,
                bytes: 14,
            },
        };
        let bytes = [&encode(&record)[..], b"ab"].concat();
        let (decoded, payload) = decode(&bytes).unwrap();
        assert_eq!(format!("{decoded:?}"), format!("{record:?}"));
        assert_eq!(payload, b"ab");
    }

    #[test]
    fn cut_records_are_refused() {
        let mut bytes = [0; 64];
        assert!(decode(&bytes[..55]).is_none());
        assert_eq!(decode(&bytes[..56]).map(|(_, payload)| payload.len()), Some(0));
        bytes[36] = 9; // `payload`, little-endian machines
        #[cfg(target_endian = "little")]
        assert!(decode(&bytes).is_none());
        bytes[36] = 8;
        #[cfg(target_endian = "little")]
        assert_eq!(decode(&bytes).map(|(_, payload)| payload.len()), Some(8));
    }
}
