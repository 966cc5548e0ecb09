//! Every header frame again, where packets are lost, overtake each other, or meet on two CPUs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tests::capture::comparison::compare;
use tests::capture::exchange::{Ends, Exchange};
use tests::capture::watch::Watch;
use tests::namespace::{Faults, Pair, SERVER};
use tests::prerequisite::or_skip;

fn check(test: &str, address: &str, faults: Faults) {
    let Some(pair) = or_skip(test, Pair::new()) else {
        return;
    };
    if or_skip(test, pair.disturb(faults)).is_none() {
        return;
    }
    let Some(watch) = or_skip(test, Watch::start()) else {
        return;
    };
    let ends = Ends {
        client: pair.client(),
        server: pair.server(),
        address: address.parse().unwrap(),
    };
    // What is under way at once, and may have to wait behind one hole, has to be less than is promised to be held: six
    // answers of 80 KB at most.
    let exchange = Exchange {
        connections: 4,
        lanes: 6,
        calls: 24,
        bodies: vec![0, 100, 3000, 40_000],
        blocks: vec![0, 0, 20, 50, 100, 500, 3000, 20_000],
        cancel_each: 11,
        ..Exchange::default()
    };
    let recorded = exchange.run(&ends).unwrap();
    let disturbed = pair.disturbed().unwrap();
    println!("{disturbed:?}");
    assert!(
        disturbed.lost > 0 || faults.lost_permille == 0,
        "nothing was lost"
    );
    assert!(
        disturbed.late > 0 || faults.late_permille == 0,
        "nothing was late"
    );
    let (seen, losses) = watch.finish();
    compare(&recorded, &seen).assert(test, &losses);
}

#[test]
fn one_percent_lost_and_late() {
    check(
        "one_percent_lost_and_late",
        SERVER[0],
        Faults {
            lost_permille: 10,
            late_permille: 10,
        },
    );
}

#[test]
fn five_percent_lost_and_late() {
    check(
        "five_percent_lost_and_late",
        SERVER[1],
        Faults {
            lost_permille: 50,
            late_permille: 50,
        },
    );
}

#[test]
fn reordered_only() {
    check(
        "reordered_only",
        SERVER[0],
        Faults {
            lost_permille: 0,
            late_permille: 200,
        },
    );
}

/// Processes that want a CPU all the time, as long as this one lives.
struct Busy(Vec<Child>);

impl Busy {
    fn start(count: usize) -> Self {
        Self(
            (0..count)
                .map(|_| {
                    Command::new("sh")
                        .args(["-c", "while kill -0 $PPID; do :; done"])
                        .spawn()
                        .unwrap()
                })
                .collect(),
        )
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Segments overtake each other, and two CPUs are in the programs for one direction at once.
#[test]
fn large_messages_under_cpu_pressure() {
    let test = "large_messages_under_cpu_pressure";
    let Some(watch) = or_skip(test, Watch::start()) else {
        return;
    };
    let seconds = std::env::var("OBSERVER_PRESSURE_SECONDS").map_or(10, |text| text.parse().unwrap());
    let busy = Busy::start(2 * std::thread::available_parallelism().unwrap().get());
    let exchange = Exchange {
        connections: 6,
        lanes: 4,
        calls: usize::MAX,
        bodies: vec![256 << 10],
        blocks: vec![0, 50, 300],
        ..Exchange::default()
    };
    let (begin, progress) = (Instant::now(), exchange.progress.clone());
    let clock = std::thread::spawn(move || {
        while begin.elapsed() < Duration::from_secs(seconds) {
            progress.wait(1);
        }
        progress.stop();
    });
    let recorded = exchange
        .run(&Ends::loopback("127.0.0.1".parse().unwrap()))
        .unwrap();
    clock.join().unwrap();
    drop(busy);
    println!("{} calls in {:?}", exchange.progress.calls(), begin.elapsed());
    let (seen, losses) = watch.finish();
    compare(&recorded, &seen).assert(test, &losses);
}
