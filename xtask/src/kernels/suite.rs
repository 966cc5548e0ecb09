//! The short form of the truth that guests run, and what it said: a line for each situation.

use std::collections::BTreeMap;

use super::guest::{CHANGES, ENCRYPTED as ENCRYPTED_TRUTH, NAMES, SKIPPED, TRUTH};

/// In the order of the table. Guests are emulated, some thirty times slower than this machine, so what only takes long is
/// left out (another observer has to be attached, thousands of calls). What a guest cannot have (a second implementation, proxies,
/// bad roads) is in the page of the whole.
pub const SITUATIONS: [&str; 13] = [
    "one-stream",
    "ten-streams",
    "streaming",
    "statuses",
    "trailers-only",
    "large-metadata",
    "sizes",
    "deadline",
    "cancel-after-first",
    "server-killed",
    "client-killed",
    "goaway",
    "ipv6",
];

/// What there is besides over TLS, where kernels differ: probes inside of programs, and how they find the socket.
pub const OVER_TLS: [&str; 6] = [
    "tls-ten-streams",
    "tls-streaming",
    "tls-statuses",
    "tls-sizes",
    "tls-server-killed",
    "tls-short-connections",
];
/// Server and client of each.
pub const PLAIN: &str = "tonic";
pub const ENCRYPTED: &str = "grpc-go";

/// As options of the judge.
pub fn plain() -> String {
    options(PLAIN, &SITUATIONS)
}

pub fn encrypted() -> String {
    options(ENCRYPTED, &OVER_TLS)
}

fn options(implementation: &str, situations: &[&str]) -> String {
    let situations = situations.iter().map(|name| format!(" --situation {name}"));
    format!(
        "--implementation {implementation} --client {implementation}{}",
        situations.collect::<String>()
    )
}

/// What became of one situation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// `made / right / unobserved / wrong`, at the server's socket and at the client's.
    Counts {
        server: String,
        client: String,
        failed: bool,
    },
    Skipped(String),
}

/// One kernel's run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Suite {
    pub cells: BTreeMap<String, Cell>,
    /// Exit status; `None`: it was not heard of.
    pub status: Option<i32>,
    /// The same of the truth over TLS.
    pub encrypted: Option<i32>,
    /// The same of the test of names.
    pub names: Option<i32>,
    /// The same of the test of changes of sockets.
    pub changes: Option<i32>,
}

impl Suite {
    pub fn parse(said: &str) -> Self {
        let mut suite = Self::default();
        for line in said.lines().map(str::trim) {
            if let Some(status) = line.strip_prefix(TRUTH) {
                suite.status = status.parse().ok();
            } else if let Some(status) = line.strip_prefix(ENCRYPTED_TRUTH) {
                suite.encrypted = status.parse().ok();
            } else if let Some(status) = line.strip_prefix(NAMES) {
                suite.names = status.parse().ok();
            } else if let Some(status) = line.strip_prefix(CHANGES) {
                suite.changes = status.parse().ok();
            } else if let Some((name, cell)) = cell(line) {
                suite.cells.insert(name.to_owned(), cell);
            }
        }
        suite
    }

    pub fn is_good(&self) -> bool {
        let mut wanted = SITUATIONS.iter().chain(&OVER_TLS);
        [self.status, self.encrypted, self.names, self.changes] == [Some(0); 4]
            && wanted.all(|name| self.cells.contains_key(*name))
    }

    /// How the tests of names and of changes have ended.
    pub fn tests(&self) -> [String; 2] {
        [self.names, self.changes].map(|end| match end {
            Some(0) => "right".to_owned(),
            Some(SKIPPED) => "SKIPPED".to_owned(),
            Some(status) => format!("failed ({status})"),
            None => "did not end".to_owned(),
        })
    }

    /// Its result in a few words.
    pub fn summary(&self) -> String {
        let of = |wanted: fn(&Cell) -> bool| self.cells.values().filter(|cell| wanted(cell)).count();
        let failed = of(|cell| matches!(cell, Cell::Counts { failed: true, .. }));
        let right = of(|cell| matches!(cell, Cell::Counts { failed: false, .. }));
        let skipped = of(|cell| matches!(cell, Cell::Skipped(_)));
        let end = match (self.status, self.encrypted) {
            (Some(_), Some(_)) => "",
            _ => ", did not end",
        };
        format!("{right} right, {failed} failed, {skipped} skipped{end}")
    }
}

/// `[2/9] NAME tonic <- tonic: 1 / 1 / 0 / 0, client side 1 / 1 / 0 / 0 (2.1 s)`, or `[2/9] NAME: SKIPPED: reason`.
fn cell(line: &str) -> Option<(&str, Cell)> {
    let (place, rest) = line.strip_prefix('[')?.split_once("] ")?;
    place.split_once('/')?;
    let (about, told) = rest.split_once(": ")?;
    let name = about.split(' ').next()?;
    if let Some(reason) = told.strip_prefix("SKIPPED: ") {
        return Some((name, Cell::Skipped(reason.to_owned())));
    }
    let (server, told) = told.split_once(", client side ")?;
    let (client, _) = told.split_once(" (")?;
    let failed = client.ends_with(" FAILED");
    let cell = Cell::Counts {
        server: server.to_owned(),
        client: client.trim_end_matches(" FAILED").to_owned(),
        failed,
    };
    Some((name, cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_run() {
        let said = "seed 1\r\n[1/3] one-stream tonic <- tonic: 120 / 120 / 0 / 0, client side 120 / 119 / 0 / 1 FAILED (2.1 s)\r\n\
            [2/3] namespaces: SKIPPED: ip netns add failed: no\r\n[3/3] sizes tonic <- tonic: 2 / 2 / 0 / 0, client side 2 / 2 / 0 / 0 (9 s)\n\
            FAILED one-stream: x\nguest: truth 1\r\nguest: encrypted 0\nguest: names 0\r\nguest: changes 77\n";
        let suite = Suite::parse(said);
        let counts = |server: &str, client: &str, failed| Cell::Counts {
            server: server.into(),
            client: client.into(),
            failed,
        };
        let expected = [
            (
                "one-stream",
                counts("120 / 120 / 0 / 0", "120 / 119 / 0 / 1", true),
            ),
            ("namespaces", Cell::Skipped("ip netns add failed: no".into())),
            ("sizes", counts("2 / 2 / 0 / 0", "2 / 2 / 0 / 0", false)),
        ];
        assert_eq!(
            suite.cells,
            expected.map(|(name, cell)| (name.to_owned(), cell)).into()
        );
        assert_eq!(suite.summary(), "1 right, 1 failed, 1 skipped");
        assert!(!suite.is_good());
        assert_eq!(
            (suite.tests(), Suite::parse("").tests()),
            (
                ["right", "SKIPPED"].map(str::to_owned),
                ["did not end", "did not end"].map(str::to_owned)
            )
        );
        assert_eq!(
            Suite::parse("").summary(),
            "0 right, 0 failed, 0 skipped, did not end"
        );
    }
}
