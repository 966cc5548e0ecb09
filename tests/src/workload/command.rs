//! The bytes that workloads exchange: methods, the command in the first message, filler. `workloads/README.md` has the
//! layout. Knows nothing of gRPC libraries.

use std::sync::LazyLock;

use super::plan::{Kind, Step};

pub const METHODS: [(&str, Kind); 8] = [
    ("/truth.v1.Truth/Echo", Kind::Unary),
    ("/truth.v1.Truth/Get", Kind::Unary),
    ("/truth.v1.Truth/Put", Kind::Unary),
    ("/truth.v1.Inventory/Reserve", Kind::Unary),
    ("/truth.v1.Truth/Download", Kind::Server),
    ("/truth.v1.Inventory/Watch", Kind::Server),
    ("/truth.v1.Truth/Upload", Kind::Client),
    ("/truth.v1.Truth/Chat", Kind::Bidi),
];

pub const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A whole HEADERS frame (`END_STREAM`, `END_HEADERS`, stream 1): an observer that loses its place counts it.
const FRAME: [u8; 14] = [0, 0, 5, 1, 5, 0, 0, 0, 1, 0x83, 0x86, 0x84, 0x41, 0];

/// The largest message that a plan may ask for: twice the 8 MB that the observer is tested with.
pub const MAX_MESSAGE: usize = 16 << 20;
/// What all implementations let through after their header limits have been raised.
const MAX_METADATA: u32 = 64 << 10;
const MAX_PAUSE_MS: u32 = 120_000;
const MAX_MESSAGES: u32 = 100_000;
const METADATA_PART: usize = 1000;
const HEAD: usize = 36;

static FILLER: LazyLock<Vec<u8>> =
    LazyLock::new(|| FRAME.iter().copied().cycle().take(MAX_MESSAGE).collect());

/// `size` bytes of filler, at most [`MAX_MESSAGE`].
pub fn fill(size: usize) -> &'static [u8] {
    let filler: &'static [u8] = &FILLER;
    filler.get(..size).unwrap_or(filler)
}

/// Names and values of metadata filler; `mark` makes it unique.
pub fn metadata(size: usize, mark: &str) -> Vec<(String, String)> {
    let text: String = mark
        .chars()
        .chain("abcdefghijklmnopqrstuvwxyz0123456789".chars().cycle())
        .take(METADATA_PART)
        .collect();
    (0..size.div_ceil(METADATA_PART))
        .map(|number| {
            let length = METADATA_PART.min(size - number * METADATA_PART);
            (
                format!("x-truth-fill-{number}"),
                text.chars().take(length).collect(),
            )
        })
        .collect()
}

pub fn kind_of(method: &str) -> Option<Kind> {
    METHODS
        .iter()
        .find(|(name, _)| *name == method)
        .map(|(_, kind)| *kind)
}

/// What a server is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    pub status: u32,
    pub sleep_ms: u32,
    pub linger_ms: u32,
    pub response_size: u32,
    pub response_count: u32,
    pub response_headers: u32,
    pub response_trailers: u32,
    pub flags: u32,
    pub message: String,
}

impl Command {
    /// Total: anything that is not a command is one of zeros, anything beyond the bounds is refused by its status.
    pub fn parse(data: &[u8]) -> Self {
        let field = |index: usize| {
            let bytes = data.get(index * 4..index * 4 + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        let Some(length) = field(8) else {
            return Self::default();
        };
        let field = |index| field(index).unwrap_or_default();
        let message = usize::try_from(length)
            .ok()
            .and_then(|length| data.get(HEAD..HEAD.checked_add(length)?));
        let command = Self {
            status: field(0),
            sleep_ms: field(1),
            linger_ms: field(2),
            response_size: field(3),
            response_count: field(4),
            response_headers: field(5),
            response_trailers: field(6),
            flags: field(7),
            message: String::from_utf8_lossy(message.unwrap_or_default()).into_owned(),
        };
        if command.within_bounds() {
            command
        } else {
            Self {
                status: 3,
                message: "command out of bounds".into(),
                ..Self::default()
            }
        }
    }

    fn within_bounds(&self) -> bool {
        self.status < 17
            && self.sleep_ms.max(self.linger_ms) <= MAX_PAUSE_MS
            && u64::from(self.response_size) <= MAX_MESSAGE as u64
            && self.response_count <= MAX_MESSAGES
            && self.response_headers.max(self.response_trailers) <= MAX_METADATA
    }

    pub fn headers_first(&self) -> bool {
        self.status == 0 || self.flags & 1 != 0
    }

    pub fn of(step: &Step) -> Self {
        Self {
            status: step.status,
            sleep_ms: step.sleep_ms,
            linger_ms: step.linger_ms,
            response_size: step.response_size,
            response_count: step.response_count,
            response_headers: step.response_headers,
            response_trailers: step.response_trailers,
            flags: u32::from(step.headers_first),
            message: step.message.clone(),
        }
    }

    /// The first message of a call, of `size` bytes or as many as the command needs.
    pub fn encode(&self, size: usize) -> Vec<u8> {
        if *self == Self::default() && size < HEAD {
            return fill(size).to_vec();
        }
        let length = u32::try_from(self.message.len()).unwrap_or(u32::MAX);
        let fields = [
            self.status,
            self.sleep_ms,
            self.linger_ms,
            self.response_size,
            self.response_count,
            self.response_headers,
            self.response_trailers,
            self.flags,
            length,
        ];
        let mut data: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
        data.extend_from_slice(self.message.as_bytes());
        data.extend_from_slice(fill(size.saturating_sub(data.len())));
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_the_wire() {
        let command = Command {
            status: 5,
            flags: 1,
            response_size: 8 << 20,
            message: "süß".into(),
            ..Command::default()
        };
        for size in [0, 20, 36, 1000] {
            assert_eq!(Command::parse(&command.encode(size)), command, "{size}");
        }
    }

    #[test]
    fn an_empty_message_asks_for_nothing() {
        assert_eq!(Command::parse(&[]), Command::default());
        assert_eq!(Command::default().encode(7).len(), 7);
    }

    #[test]
    fn too_much_is_refused() {
        let command = Command {
            sleep_ms: u32::MAX,
            ..Command::default()
        };
        assert_eq!(Command::parse(&command.encode(0)).status, 3);
    }

    #[test]
    fn metadata_has_the_size_asked_for() {
        let sizes: Vec<usize> = metadata(2500, "00000001-")
            .iter()
            .map(|(_, value)| value.len())
            .collect();
        assert_eq!(sizes, [1000, 1000, 500]);
    }
}
