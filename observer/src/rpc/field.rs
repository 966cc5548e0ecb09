//! The header fields that calls are made of.

use super::content_type::ContentType;
use super::timeout::Timeout;
use super::{MethodIndex, Methods, Status};
use crate::hpack::{Encoded, Name, Text, Vocabulary};

const fn name(number: u8) -> Name {
    match Name::new(number) {
        Some(name) => name,
        None => unreachable!(),
    }
}

const AUTHORITY: Name = name(0);
const METHOD: Name = name(1);
pub const PATH: Name = name(2);
const HTTP_STATUS: Name = name(3);
const CONTENT_TYPE: Name = name(4);
const GRPC_STATUS: Name = name(5);
const GRPC_TIMEOUT: Name = name(6);
const TE: Name = name(7);

struct Wanted {
    name: Name,
    plain: &'static [u8],
    huffman: Encoded,
}

impl Wanted {
    const fn new(name: Name, plain: &'static [u8]) -> Self {
        Self {
            name,
            plain,
            huffman: Encoded::new(plain),
        }
    }
}

/// By number.
static WANTED: [Wanted; 8] = [
    Wanted::new(AUTHORITY, b":authority"),
    Wanted::new(METHOD, b":method"),
    Wanted::new(PATH, b":path"),
    Wanted::new(HTTP_STATUS, b":status"),
    Wanted::new(CONTENT_TYPE, b"content-type"),
    Wanted::new(GRPC_STATUS, b"grpc-status"),
    Wanted::new(GRPC_TIMEOUT, b"grpc-timeout"),
    Wanted::new(TE, b"te"),
];

/// A host name with a port; what is longer is no name that could be resolved.
const MAX_AUTHORITY: usize = 255 + 6;

/// Values that nearly every call has, in the form in which most peers send them.
static GRPC: Encoded = Encoded::new(b"application/grpc");
static TRAILERS_CODED: Encoded = Encoded::new(b"trailers");

const POST: u32 = 1;
const TRAILERS: u32 = 1;

/// What one header block says about its call. `None` means that the block did not say so, or, where `unknown` is
/// not 0, that it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub(super) post: Option<bool>,
    pub(super) path: Option<MethodIndex>,
    pub(super) http_status: Option<u16>,
    pub(super) content_type: Option<ContentType>,
    pub(super) grpc_status: Option<Status>,
    pub(super) timeout: Option<Timeout>,
    pub(super) te_trailers: bool,
    /// Fields that could not be known.
    pub unknown: u32,
}

impl Fields {
    /// A block that could not be decoded at all.
    #[must_use]
    pub fn lost() -> Self {
        Self {
            unknown: 1,
            ..Self::default()
        }
    }

    /// Has what only requests have.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        self.post.is_some() || self.path.is_some()
    }

    /// Has what only responses have.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.http_status.is_some() || self.grpc_status.is_some()
    }
}

/// Reads a block into [`Fields`]. Of a field that is there twice, the first counts.
#[derive(Debug)]
pub struct Reader<'a> {
    pub fields: Fields,
    /// Paths refused.
    pub refused: u32,
    methods: &'a mut Methods,
    authority: &'a mut Option<Box<[u8]>>,
}

impl<'a> Reader<'a> {
    pub fn new(methods: &'a mut Methods, authority: &'a mut Option<Box<[u8]>>) -> Self {
        Self {
            fields: Fields::default(),
            refused: 0,
            methods,
            authority,
        }
    }

    fn path(&mut self, value: Option<&[u8]>) -> MethodIndex {
        let method = value.map_or(MethodIndex::OTHER, |path| self.methods.resolve(path));
        self.refused += u32::from(method == MethodIndex::OTHER);
        method
    }

    fn keep_authority(&mut self, value: &[u8]) {
        if self.authority.is_none() && !value.is_empty() && value.len() <= MAX_AUTHORITY {
            *self.authority = Some(value.into());
        }
    }
}

impl Vocabulary for Reader<'_> {
    #[inline]
    fn name(&mut self, name: Text<'_>) -> Option<Name> {
        let raw = name.raw();
        let found = if name.is_huffman() {
            WANTED.iter().find(|wanted| wanted.huffman.bytes() == raw)
        } else {
            WANTED.iter().find(|wanted| wanted.plain == raw)
        };
        found.map(|wanted| wanted.name)
    }

    #[inline]
    fn static_name(&mut self, index: usize, _: &'static [u8]) -> Option<Name> {
        match index {
            1 => Some(AUTHORITY),
            2 | 3 => Some(METHOD),
            4 | 5 => Some(PATH),
            8..=14 => Some(HTTP_STATUS),
            31 => Some(CONTENT_TYPE),
            _ => None,
        }
    }

    fn name_length(&self, name: Name) -> u32 {
        let plain = WANTED
            .get(usize::from(name.number()))
            .map_or(&[][..], |wanted| wanted.plain);
        u32::try_from(plain.len()).unwrap_or(0)
    }

    #[inline]
    fn known_value(&mut self, name: Name, huffman: &[u8]) -> Option<(u32, u32)> {
        match name {
            PATH => self
                .methods
                .recent(huffman)
                .map(|(method, length)| (method.token(), length)),
            CONTENT_TYPE if huffman == GRPC.bytes() => Some((ContentType::Grpc.token(), 16)),
            TE if huffman == TRAILERS_CODED.bytes() => Some((TRAILERS, 8)),
            _ => None,
        }
    }

    #[inline]
    fn value(&mut self, name: Name, value: Option<&[u8]>) -> u32 {
        let text = value.unwrap_or_default();
        match name {
            METHOD => u32::from(text == b"POST"),
            PATH => self.path(value).token(),
            HTTP_STATUS => match *text {
                [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => [a, b, c]
                    .into_iter()
                    .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')),
                _ => 0,
            },
            CONTENT_TYPE => ContentType::parse(text).token(),
            GRPC_STATUS => u32::try_from(Status::parse(text).index()).unwrap_or(u32::MAX),
            GRPC_TIMEOUT => Timeout::parse(text).token(),
            TE => u32::from(text.eq_ignore_ascii_case(b"trailers")),
            _ => {
                self.keep_authority(text);
                0
            }
        }
    }

    #[inline]
    fn field(&mut self, name: Name, token: u32) {
        let fields = &mut self.fields;
        match name {
            METHOD => fields.post = fields.post.or(Some(token == POST)),
            PATH => fields.path = fields.path.or(Some(MethodIndex::from_token(token))),
            HTTP_STATUS => {
                fields.http_status = fields.http_status.or(Some(u16::try_from(token).unwrap_or(0)));
            }
            CONTENT_TYPE => {
                fields.content_type = fields.content_type.or(Some(ContentType::from_token(token)));
            }
            GRPC_STATUS => {
                let status = usize::try_from(token).ok().and_then(Status::from_index);
                fields.grpc_status = fields.grpc_status.or(Some(status.unwrap_or(Status::Unknown)));
            }
            GRPC_TIMEOUT => fields.timeout = fields.timeout.or(Some(Timeout::from_token(token))),
            TE => fields.te_trailers |= token == TRAILERS,
            _ => {}
        }
    }

    fn unknown(&mut self) {
        self.fields.unknown = self.fields.unknown.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpack::encode_huffman;

    #[test]
    fn numbers_are_places() {
        for (place, wanted) in WANTED.iter().enumerate() {
            assert_eq!(usize::from(wanted.name.number()), place);
        }
    }

    #[test]
    fn static_names_are_the_names() {
        let (mut methods, mut authority) = (Methods::new(), None);
        let mut reader = Reader::new(&mut methods, &mut authority);
        for (index, name) in [
            (1, ":authority"),
            (2, ":method"),
            (4, ":path"),
            (8, ":status"),
            (31, "content-type"),
        ] {
            let found = reader.static_name(index, name.as_bytes());
            assert_eq!(found, reader.name(Text::plain(name.as_bytes())));
            assert!(found.is_some());
        }
    }

    #[test]
    fn known_values_are_the_values() {
        let (mut methods, mut authority) = (Methods::new(), None);
        let mut reader = Reader::new(&mut methods, &mut authority);
        for (name, value) in [
            (PATH, "/pkg.Service/Method"),
            (CONTENT_TYPE, "application/grpc"),
            (TE, "trailers"),
        ] {
            let token = reader.value(name, Some(value.as_bytes()));
            let length = u32::try_from(value.len()).unwrap();
            let coded = encode_huffman(value.as_bytes());
            assert_eq!(reader.known_value(name, &coded), Some((token, length)), "{value}");
            assert_eq!(reader.known_value(AUTHORITY, &coded), None);
            assert_eq!(reader.known_value(name, &coded[1..]), None);
        }
    }
}
