//! Three capabilities are enough, and each that is missing is named.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};

use tests::capture::watch::{attach, object};
use tests::prerequisite::or_skip;

/// Set in the child that attaches.
const CHILD: &str = "OBSERVER_TEST_CHILD";
const NEEDED: [&str; 3] = ["bpf", "net_admin", "perfmon"];

/// No test by itself: the process with few privileges.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!(
        "{}",
        status.lines().find(|line| line.starts_with("CapEff")).unwrap()
    );
    match attach(None, 1 << 20) {
        Ok(_) => println!("attached"),
        Err(error) => println!("refused: {error}"),
    }
}

/// Runs the child with these capabilities and no others, also not in its bounding set.
fn run(capabilities: &[&str]) -> Output {
    let set: Vec<String> = capabilities.iter().map(|name| format!(",+{name}")).collect();
    let mut command = Command::new("setpriv");
    command.args([
        "--bounding-set",
        &format!("-all{}", set.concat()),
        "--inh-caps=-all",
        "--no-new-privs",
    ]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).env(CHILD, "1");
    command.output().unwrap()
}

fn check(capabilities: &[&str], expected: &[&str]) {
    let output = run(capabilities);
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{capabilities:?}: {text}");
    for expected in expected {
        assert!(
            text.contains(expected),
            "with {capabilities:?}: no {expected:?} in {text}"
        );
    }
}

#[test]
fn three_capabilities_are_enough() {
    let test = "three_capabilities_are_enough";
    if or_skip(test, object().and_then(|_| attach(None, 1 << 20)).map(drop)).is_none() {
        return;
    }
    check(&NEEDED, &["CapEff:\t000000c000001000", "attached"]);
    for missing in NEEDED {
        let others: Vec<&str> = NEEDED.into_iter().filter(|name| *name != missing).collect();
        check(
            &others,
            &["refused", &format!("CAP_{} is missing", missing.to_uppercase())],
        );
    }
    check(&[], &["CAP_BPF and CAP_NET_ADMIN and CAP_PERFMON are missing"]);
}
