//! A daemon that is killed leaves nothing attached and nothing loaded, and its traffic goes on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ffi::OsString;
use std::time::{Duration, Instant};

use tests::capture::exchange::{Ends, Exchange};
use tests::capture::kernel::{Ids, held, loaded};
use tests::capture::watch::{RING_BYTES, attach};
use tests::prerequisite::or_skip;
use tests::process::{Place, Process};

const LIMIT: Duration = Duration::from_mins(1);
/// Set in the child that attaches.
const CHILD: &str = "OBSERVER_TEST_CHILD";
const RESTARTS: usize = 10;

/// No test by itself: the process that attaches, and waits to be killed.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let attached = attach(None, RING_BYTES).unwrap();
    println!("\nattached");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop(attached);
}

fn start() -> Process {
    let this = std::env::current_exe().unwrap();
    let assignment = format!("{CHILD}=1");
    let command = ["env", &assignment]
        .map(OsString::from)
        .into_iter()
        .chain([this.into()]);
    let command: Vec<OsString> = command
        .chain(["child", "--exact", "--nocapture"].map(OsString::from))
        .collect();
    let mut child = Process::start(&command, &Place::default()).unwrap();
    child.wait_for("attached", LIMIT).unwrap();
    child
}

/// Kills the child and waits until nothing of it is left; the kernel frees after a grace period.
fn kill(mut child: Process) -> Ids {
    let ids = held(child.id()).unwrap();
    let of = |kind: &str| ids.iter().filter(|(found, _)| *found == kind).count();
    assert!(
        of("prog_id") >= 20 && of("map_id") >= 9 && of("link_id") == 5,
        "{ids:?}"
    );
    child.kill();
    let begin = Instant::now();
    loop {
        let loaded = loaded().unwrap();
        let left: Vec<_> = ids.intersection(&loaded).collect();
        if left.is_empty() {
            return ids;
        }
        assert!(begin.elapsed() < LIMIT, "still there: {left:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn killed_under_traffic_ten_times() {
    let test = "killed_under_traffic_ten_times";
    if or_skip(test, attach(None, RING_BYTES).map(drop)).is_none() {
        return;
    }
    let exchange = Exchange {
        connections: 4,
        lanes: 8,
        calls: usize::MAX,
        ..Exchange::default()
    };
    let progress = exchange.progress.clone();
    let ends = Ends::loopback("127.0.0.1".parse().unwrap());
    let running = std::thread::spawn(move || exchange.run(&ends));
    let mut all = Ids::new();
    for _ in 0..RESTARTS {
        let child = start();
        progress.wait(100);
        all.extend(kill(child));
        progress.wait(100);
    }
    progress.stop();
    // No call of the exchange has failed, or this would be an error.
    let recorded = running.join().unwrap().unwrap();
    assert_eq!(recorded.len(), 8);
    println!(
        "{test}: {} ids came and went, {} calls were made meanwhile",
        all.len(),
        progress.calls()
    );
}
