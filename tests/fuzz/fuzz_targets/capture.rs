//! Any bytes as a capture file, through the whole of `observer replay`: no panic, and what is read is read the same
//! however the file comes in.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use observer::config::Config;
use observer::config::args::ReplayFormat;
use observer::replay::decode;

/// A pipe that gives a few bytes at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(7);
        self.0.read(&mut buffer[..most])
    }
}

fn replayed(input: impl Read) -> Option<(bool, Vec<u8>)> {
    let mut out = Vec::new();
    let damaged = decode(
        &Config::default(),
        input,
        None,
        ReplayFormat::Json,
        &mut out,
        &mut io::sink(),
    );
    damaged.ok().map(|damaged| (damaged, out))
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(replayed(data), replayed(Trickle(data)));
});
