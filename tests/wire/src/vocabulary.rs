//! A vocabulary that wants every header, for comparing a decoder with what was encoded.

use observer::hpack::{Name, Text, Vocabulary};

/// A field told by the decoder; `None`: unknown because older.
pub type Told = Option<(Vec<u8>, Vec<u8>)>;

/// In the place of values above [`MAX_VALUE`](observer::hpack::MAX_VALUE), of which only the length is known.
pub const TOO_LONG: &[u8] = b"(too long)";

#[derive(Debug, Default)]
pub struct Everything {
    names: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
    pub told: Vec<Told>,
}

impl Vocabulary for Everything {
    fn name(&mut self, name: Text<'_>) -> Option<Name> {
        let name = name.read(|text, _| text.map(<[u8]>::to_vec)).ok()??;
        let place = self
            .names
            .iter()
            .position(|known| *known == name)
            .unwrap_or_else(|| {
                self.names.push(name);
                self.names.len() - 1
            });
        Name::new(u8::try_from(place).ok()?)
    }

    fn name_length(&self, name: Name) -> u32 {
        self.names
            .get(usize::from(name.number()))
            .map_or(0, |name| u32::try_from(name.len()).unwrap_or(0))
    }

    fn value(&mut self, _: Name, value: Option<&[u8]>) -> u32 {
        self.values.push(value.unwrap_or(TOO_LONG).to_vec());
        u32::try_from(self.values.len() - 1).unwrap_or(u32::MAX)
    }

    fn field(&mut self, name: Name, token: u32) {
        let name = self
            .names
            .get(usize::from(name.number()))
            .cloned()
            .unwrap_or_default();
        let value = usize::try_from(token)
            .ok()
            .and_then(|token| self.values.get(token))
            .cloned();
        self.told.push(Some((name, value.unwrap_or_default())));
    }

    fn unknown(&mut self) {
        self.told.push(None);
    }
}
