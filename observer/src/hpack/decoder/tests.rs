//! Blocks of the RFC, blocks joined late, and malformed ones.

use super::*;

/// Wants everything, keeps everything.
#[derive(Default)]
struct Everything {
    names: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
    told: Vec<String>,
}

impl Vocabulary for Everything {
    fn name(&mut self, name: Text<'_>) -> Option<Name> {
        let name = name.read(|text, _| text.unwrap_or_default().to_vec()).ok()?;
        let at = self
            .names
            .iter()
            .position(|known| *known == name)
            .unwrap_or_else(|| {
                self.names.push(name);
                self.names.len() - 1
            });
        Name::new(u8::try_from(at).ok()?)
    }

    fn name_length(&self, name: Name) -> u32 {
        u32::try_from(self.names[usize::from(name.number())].len()).unwrap()
    }

    fn value(&mut self, _: Name, value: Option<&[u8]>) -> u32 {
        self.values.push(value.unwrap_or(b"(long)").to_vec());
        u32::try_from(self.values.len() - 1).unwrap()
    }

    fn field(&mut self, name: Name, token: u32) {
        let name = String::from_utf8_lossy(&self.names[usize::from(name.number())]).into_owned();
        let value = String::from_utf8_lossy(&self.values[usize::try_from(token).unwrap()]).into_owned();
        self.told.push(format!("{name}: {value}"));
    }

    fn unknown(&mut self) {
        self.told.push("?".to_owned());
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let pairs = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// Feeds blocks (hexadecimal) and compares what is told of each.
fn check(mut decoder: Decoder, blocks: &[(&str, Result<&[&str], Malformed>)]) {
    let mut everything = Everything::default();
    for (block, expected) in blocks {
        everything.told.clear();
        let outcome = decoder.decode(&unhex(block), &mut everything);
        let expected = expected.map(|fields| fields.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(
            outcome.map(|()| everything.told.clone()),
            expected,
            "block {block}"
        );
    }
}

const FIRST: &str = "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff";
const SECOND: &str = "8286 84be 5886 a8eb 1064 9cbf";
const THIRD: &str = "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf";

#[test]
fn requests_of_the_rfc() {
    let first = [
        ":method: GET",
        ":scheme: http",
        ":path: /",
        ":authority: www.example.com",
    ];
    let second = [&first[..], &["cache-control: no-cache"]].concat();
    let third = [
        ":method: GET",
        ":scheme: https",
        ":path: /index.html",
        ":authority: www.example.com",
        "custom-key: custom-value",
    ];
    check(
        Decoder::new(),
        &[(FIRST, Ok(&first)), (SECOND, Ok(&second)), (THIRD, Ok(&third))],
    );
}

#[test]
fn requests_of_the_rfc_joined_late() {
    let second = [
        ":method: GET",
        ":scheme: http",
        ":path: /",
        "?",
        "cache-control: no-cache",
    ];
    let third = [
        ":method: GET",
        ":scheme: https",
        ":path: /index.html",
        "?",
        "custom-key: custom-value",
    ];
    check(Decoder::joined(), &[(SECOND, Ok(&second)), (THIRD, Ok(&third))]);
}

#[test]
fn literal_value_under_an_older_name() {
    // The value is there, the name is not; the entry it makes is as unknown.
    check(
        Decoder::joined(),
        &[
            ("7e01 35", Ok(&["?"])),
            ("be", Ok(&["?"])),
            ("4001 6e01 76bf", Ok(&["n: v", "?"])),
        ],
    );
}

#[test]
fn malformed_blocks() {
    let check_one = |block, expected| check(Decoder::new(), &[(block, Err(expected))]);
    check_one("80", Malformed::IndexBeyondTable);
    check_one("be", Malformed::IndexBeyondTable);
    check_one("7e01 35", Malformed::IndexBeyondTable);
    check_one("ffff ffff ff0f", Malformed::IntegerOverflow);
    check_one("4003 6e", Malformed::Truncated);
    check_one("8220", Malformed::SizeUpdatePlace);
    check_one("3fe2 1f", Malformed::SizeUpdateLimit);
    check_one("4481 00", Malformed::Huffman);
}

#[test]
fn after_a_malformed_block_the_past_is_unknown() {
    let n = "4001 6e01 76";
    check(
        Decoder::new(),
        &[
            (n, Ok(&["n: v"])),
            ("be", Ok(&["n: v"])),
            ("80", Err(Malformed::IndexBeyondTable)),
            ("be", Ok(&["?"])),
        ],
    );
}

#[test]
fn table_sizes_within_what_was_allowed() {
    let mut decoder = Decoder::new();
    decoder.allow(8192);
    decoder.allow(100);
    check(
        decoder,
        &[
            ("3fe1 3f82", Ok(&[":method: GET"])),
            ("3fe2 3f", Err(Malformed::SizeUpdateLimit)),
        ],
    );
    check(Decoder::joined(), &[("3fe1 ffff ff07 82", Ok(&[":method: GET"]))]);
}

#[test]
fn size_update_storm() {
    let storm = "20 3fe1 1f ".repeat(10_000);
    check(Decoder::new(), &[(&storm, Ok(&[]))]);
}

#[test]
fn hpack_bomb_keeps_nothing() {
    // One entry of 4000 bytes, named again 16,000 times: 64 MB decoded.
    let mut decoder = Decoder::new();
    let mut block = unhex("4001 6e7f a11e");
    block.extend(std::iter::repeat_n(b'x', 4000));
    block.extend(std::iter::repeat_n(0xbe, 16_000));
    let mut everything = Everything::default();
    decoder.decode(&block, &mut everything).unwrap();
    assert_eq!(everything.values.len(), 1);
    assert!(decoder.memory() < 1024);
}
