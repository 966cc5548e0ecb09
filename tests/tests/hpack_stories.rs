//! Header blocks of other people's encoders: every field must come out; and after any cut, every field must be
//! right or unknown.
//!
//! `hpack/*.json` were made by `hpack/generate.py`. The public interoperability stories are larger and not part of
//! this repository; they are read where they are present beside it.
#![expect(clippy::unwrap_used, reason = "the functions below are parts of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use observer::hpack::{Decoder, MAX_VALUE};
use serde::Deserialize;
use tests::skip::skipped;
use wire::vocabulary::{Everything, TOO_LONG, Told};

#[derive(Deserialize)]
struct Story {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    header_table_size: Option<u32>,
    wire: String,
    headers: Vec<BTreeMap<String, String>>,
}

impl Case {
    fn block(&self) -> Vec<u8> {
        let pairs = self
            .wire
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    fn fields(&self) -> Vec<Told> {
        let told = |value: &String| {
            if value.len() > MAX_VALUE {
                TOO_LONG.to_vec()
            } else {
                value.clone().into()
            }
        };
        let fields = self.headers.iter().flatten();
        fields
            .map(|(name, value)| Some((name.clone().into_bytes(), told(value))))
            .collect()
    }
}

/// Blocks decoded after each cut: enough for a table to turn over many times.
const AFTER_CUT: usize = 80;

/// Decodes a story whole, then from every cut on. Gives the number of blocks and of unknown fields.
fn check(path: &Path, allowed: u32) -> (usize, usize) {
    let story: Story = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let blocks: Vec<_> = story.cases.iter().map(Case::block).collect();
    let fields: Vec<_> = story.cases.iter().map(Case::fields).collect();
    let mut decoder = Decoder::new();
    decoder.allow(allowed);
    let mut everything = Everything::default();
    for (place, case) in story.cases.iter().enumerate() {
        if let Some(size) = case.header_table_size {
            decoder.allow(size);
        }
        everything.told.clear();
        let outcome = decoder.decode(&blocks[place], &mut everything);
        assert_eq!(outcome, Ok(()), "{} block {place}", path.display());
        assert_eq!(everything.told, fields[place], "{} block {place}", path.display());
    }
    let mut unknown = 0;
    for cut in 1..blocks.len() {
        let mut decoder = Decoder::joined();
        let mut everything = Everything::default();
        for place in cut..blocks.len().min(cut + AFTER_CUT) {
            everything.told.clear();
            let outcome = decoder.decode(&blocks[place], &mut everything);
            assert_eq!(outcome, Ok(()), "{} block {place} cut at {cut}", path.display());
            assert_eq!(
                everything.told.len(),
                fields[place].len(),
                "{} block {place} cut at {cut}",
                path.display()
            );
            for (told, field) in everything.told.iter().zip(&fields[place]) {
                unknown += usize::from(told.is_none());
                let is_right = told.is_none() || told == field;
                assert!(
                    is_right,
                    "{} block {place} cut at {cut}: {told:?} for {field:?}",
                    path.display()
                );
            }
        }
    }
    (blocks.len(), unknown)
}

fn stories(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    let mut stories: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    stories.sort();
    stories
}

#[test]
fn committed_stories() {
    let stories = stories(&Path::new(env!("CARGO_MANIFEST_DIR")).join("hpack"));
    assert!(stories.len() >= 6, "{stories:?}");
    for story in &stories {
        let (blocks, unknown) = check(story, 0);
        println!(
            "{}: {blocks} blocks; {unknown} fields unknown after cuts",
            story.display()
        );
    }
}

#[test]
fn interoperability_stories() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hpack-stories.tar.xz");
    if !data.exists() {
        return skipped(
            "interoperability_stories",
            "the public HPACK stories are not beside this repository",
        );
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hpack-stories");
    fs::create_dir_all(&folder).unwrap();
    let unpacked = Command::new("tar")
        .arg("-xJf")
        .arg(&data)
        .arg("-C")
        .arg(&folder)
        .status();
    if !unpacked.is_ok_and(|status| status.success()) {
        return skipped("interoperability_stories", "no tar with xz to unpack the stories");
    }
    let mut encoders = 0;
    let (mut files, mut blocks) = (0, 0);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // These have no wire bytes.
        if !path.is_dir() || name == "raw-data" {
            continue;
        }
        // Its decoder is said to have announced as much, in the name only.
        let allowed = if name == "nghttp2-16384-4096" { 16_384 } else { 0 };
        encoders += 1;
        for story in stories(&path) {
            files += 1;
            blocks += check(&story, allowed).0;
        }
    }
    println!("{encoders} encoders, {files} stories, {blocks} blocks");
    assert!(
        encoders == 14 && files >= 14 * 31,
        "{encoders} encoders, {files} stories"
    );
}
