//! Whether two sides agree on what happened between them.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::command::kind_of;
use super::tally::{MethodTally, Tally};

/// Ends that the two sides of a call may name differently: a deadline that the client has met reaches a server as a
/// reset, and some clients take a server's reset for a cancel.
const ABANDONED: [&str; 2] = ["CANCELLED", "DEADLINE_EXCEEDED"];
/// What those are counted as where they must not be told apart.
pub const ABANDONED_NAME: &str = "CANCELLED or DEADLINE_EXCEEDED";

/// Ends by status, with those that may be named differently put together.
pub fn without_abandoned(ended: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut merged = BTreeMap::new();
    for (status, count) in ended {
        let name = if ABANDONED.contains(&status.as_str()) {
            ABANDONED_NAME
        } else {
            status
        };
        *merged.entry(name.to_owned()).or_default() += count;
    }
    merged
}

/// Every difference between what a server and all of its clients counted; empty if they agree. Methods that no
/// server has are left out where the server's implementation does not tell the program about them.
pub fn differences(client: &Tally, server: &Tally) -> Vec<String> {
    let mut found = Vec::new();
    let nothing = MethodTally::default();
    for (method, ours) in &client.methods {
        let known = kind_of(method).is_some();
        match server.methods.get(method) {
            None if !known => {}
            theirs => compare(method, known, ours, theirs.unwrap_or(&nothing), &mut found),
        }
    }
    for method in server
        .methods
        .keys()
        .filter(|method| !client.methods.contains_key(*method))
    {
        found.push(format!("{method}: only the server has it"));
    }
    found
}

fn compare(method: &str, known: bool, client: &MethodTally, server: &MethodTally, found: &mut Vec<String>) {
    let mut check = |what: &str, client: &dyn Display, server: &dyn Display| {
        let (client, server) = (client.to_string(), server.to_string());
        if client != server {
            found.push(format!("{method}: {what}: client {client}, server {server}"));
        }
    };
    check("started", &client.started, &server.started);
    let (ours, theirs) = (without_abandoned(&client.ended), without_abandoned(&server.ended));
    check("ended", &format!("{ours:?}"), &format!("{theirs:?}"));
    // Messages of a call that was given up can be on their way, and those of an unknown method are not handed over.
    if known && !ours.contains_key(ABANDONED_NAME) && !theirs.contains_key(ABANDONED_NAME) {
        check(
            "request messages",
            &client.request_messages,
            &server.request_messages,
        );
        check("request bytes", &client.request_bytes, &server.request_bytes);
        check(
            "response messages",
            &client.response_messages,
            &server.response_messages,
        );
        check("response bytes", &client.response_bytes, &server.response_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(statuses: &[(&str, u64)]) -> Tally {
        let mut tally = Tally::default();
        let method = tally.method("/truth.v1.Truth/Echo");
        method.started = statuses.iter().map(|(_, count)| count).sum();
        method.ended = statuses
            .iter()
            .map(|(status, count)| ((*status).to_owned(), *count))
            .collect();
        tally
    }

    #[track_caller]
    fn check(client: &[(&str, u64)], server: &[(&str, u64)], expected: usize) {
        let found = differences(&tally(client), &tally(server));
        assert_eq!(found.len(), expected, "{found:#?}");
    }

    #[test]
    fn a_deadline_may_be_a_cancel_to_the_other_side() {
        check(
            &[("OK", 5), ("DEADLINE_EXCEEDED", 3)],
            &[("CANCELLED", 3), ("OK", 5)],
            0,
        );
    }

    #[test]
    fn another_status_is_a_difference() {
        check(&[("OK", 5)], &[("NOT_FOUND", 5)], 1);
    }

    #[test]
    fn a_call_less_is_two_differences() {
        check(&[("OK", 5)], &[("OK", 4)], 2);
    }
}
