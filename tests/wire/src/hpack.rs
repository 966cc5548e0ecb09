//! A header encoder with a real dynamic table (RFC 7541), whose every choice is the test's.

use std::collections::VecDeque;

use observer::hpack::encode_huffman;

/// How a field is written where it is not wholly in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As an index where it is in a table, else literally, to be inserted.
    Indexing,
    /// Literally, the name too.
    Literal,
    /// Literally under an indexed name where there is one, never inserted.
    NeverIndexed,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub value: String,
    pub form: Form,
    pub huffman: bool,
}

#[derive(Debug)]
pub struct Encoder {
    entries: VecDeque<(String, String)>,
    size: usize,
    capacity: usize,
    updates: Vec<usize>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            capacity: 4096,
            updates: Vec::new(),
        }
    }
}

impl Encoder {
    /// Announces a table size with the next block.
    pub fn resize(&mut self, capacity: usize) {
        self.updates.push(capacity);
        self.capacity = capacity;
        self.evict();
    }

    pub fn encode(&mut self, fields: &[Field]) -> Vec<u8> {
        let mut block = Vec::new();
        for size in std::mem::take(&mut self.updates) {
            integer(&mut block, 0x20, 5, size);
        }
        for field in fields {
            self.field(&mut block, field);
        }
        block
    }

    fn field(&mut self, block: &mut Vec<u8>, field: &Field) {
        let Field {
            name,
            value,
            form,
            huffman,
        } = field;
        let (whole, named) = self.find(name, value);
        if let (Form::Indexing, Some(index)) = (form, whole) {
            return integer(block, 0x80, 7, index);
        }
        let named = if *form == Form::Literal { None } else { named };
        let (bits, prefix) = match form {
            Form::Indexing => (0x40, 6),
            Form::Literal => (0x00, 4),
            Form::NeverIndexed => (0x10, 4),
        };
        integer(block, bits, prefix, named.unwrap_or(0));
        if named.is_none() {
            text(block, name, *huffman);
        }
        text(block, value, *huffman);
        if *form == Form::Indexing {
            self.size += name.len() + value.len() + 32;
            self.entries.push_front((name.clone(), value.clone()));
            self.evict();
        }
    }

    fn find(&self, name: &str, value: &str) -> (Option<usize>, Option<usize>) {
        let fixed = STATIC.iter().map(|&(name, value)| (name, value));
        let inserted = self
            .entries
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        // The static table has 61 entries; those with a use in tests stand here, the others hold their place.
        let all = || {
            (1..=61)
                .zip(fixed.clone().chain(std::iter::repeat(("", ""))))
                .chain((62..).zip(inserted.clone()))
        };
        let whole = all()
            .find(|&(_, entry)| entry == (name, value))
            .map(|(index, _)| index);
        let named = all().find(|&(_, entry)| entry.0 == name).map(|(index, _)| index);
        (whole, named)
    }

    fn evict(&mut self) {
        while self.size > self.capacity {
            let (name, value) = self.entries.pop_back().expect("a size without entries");
            self.size -= name.len() + value.len() + 32;
        }
    }
}

fn integer(block: &mut Vec<u8>, bits: u8, prefix: u32, value: usize) {
    let most = (1_usize << prefix) - 1;
    if value < most {
        return block.push(bits | u8::try_from(value).expect("below a prefix"));
    }
    block.push(bits | u8::try_from(most).expect("a prefix"));
    let mut rest = value - most;
    while rest >= 0x80 {
        block.push(0x80 | u8::try_from(rest & 0x7f).expect("seven bits"));
        rest >>= 7;
    }
    block.push(u8::try_from(rest).expect("seven bits"));
}

fn text(block: &mut Vec<u8>, text: &str, huffman: bool) {
    let coded = encode_huffman(text.as_bytes());
    let (bits, bytes) = if huffman {
        (0x80, coded.as_slice())
    } else {
        (0, text.as_bytes())
    };
    integer(block, bits, 7, bytes.len());
    block.extend_from_slice(bytes);
}

/// The static table, as far as the tests speak it.
const STATIC: [(&str, &str); 32] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
];
