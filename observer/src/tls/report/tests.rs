//! What is printed of a machine made up.

use super::*;
use crate::tls::{Library, Point};

fn report() -> Report {
    let points = [(Act::GoRead, 1), (Act::GoReadEnd, 2), (Act::GoReadEnd, 3)];
    let found = Found {
        library: Library::Go,
        version: Some("go1.27".to_owned()),
        points: points.map(|(act, offset)| Point { act, offset }).to_vec(),
        random: None,
    };
    Report {
        judged: vec![
            Judged::of("/app/\u{1b}[2Jserver", 3, vec![Ok(found)]),
            Judged::of("/usr/lib/libjvm.so", 1, vec![Err(Reason::Java)]),
            Judged::of("", 1, vec![]),
        ],
        hidden: 7,
        refused: 0,
        capabilities: Some(Capabilities::of(&[Capability::SysAdmin])),
    }
}

#[test]
fn for_people() {
    let expected = "\
probed   /app/\\u{1b}[2Jserver
         Go crypto/tls go1.27, in 3 processes
         at go_read, go_read_end (2)
skipped  /usr/lib/libjvm.so
         in 1 process
         -> Java: code is made at run time
missing  CAP_SYS_PTRACE: needed for seeing which TLS libraries other processes have mapped
hidden   7 processes: their mappings cannot be read
3 files with code are mapped, 1 would be probed.
";
    assert_eq!(report().text(false), expected);
}

#[test]
fn for_machines() {
    let value: Value = serde_json::from_str(&report().text(true)).unwrap();
    assert_eq!(value["targets"][0]["points"]["go_read_end"], 2);
    assert_eq!(value["targets"][0]["library"], "go");
    assert_eq!(value["skipped"][0]["reason"], "Java: code is made at run time");
    assert_eq!(value["missing_capabilities"], json!(["CAP_SYS_PTRACE"]));
    assert_eq!(value["hidden_processes"], 7);
}

#[test]
fn all_that_is_needed() {
    let capabilities = Some(Capabilities::of(&WANTED));
    let report = Report {
        capabilities,
        ..report()
    };
    assert_eq!(report.missing(), []);
}
