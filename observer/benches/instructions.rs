//! What a call costs in userspace, from the bytes of the ring to its counters, for `cargo xtask instructions`: run
//! under callgrind with two numbers of calls, the difference is the cost of the calls alone.
#![expect(clippy::expect_used, reason = "its inputs are its own")]

mod call_records;

use std::sync::Arc;
use std::time::Instant;

use observer::attribution::{Attributed, Identity, Resolution};
use observer::event;
use observer::metrics::{self, Format, Now};
use observer::pipeline::{Naming, Pipeline, Settings};
use observer_ebpf::record::{Direction, Kind, Protocol, Record, Role, Socket};

use self::call_records::{Form, Wire};

/// Names every connection at once.
#[derive(Debug)]
struct Named(Attributed);

impl Naming for Named {
    fn resolve(&mut self, _: u64, _: &Socket, _: Instant) -> Resolution {
        Resolution::Known(self.0.clone())
    }

    fn answers(&mut self, _: Instant) -> Vec<(u64, Attributed)> {
        Vec::new()
    }

    fn renew(&mut self, _: u64, _: &Socket, _: Instant, _: bool) -> Resolution {
        Resolution::Known(self.0.clone())
    }

    fn version(&self) -> u64 {
        0
    }

    fn nobody(&mut self, _: &Socket) -> Attributed {
        self.0.clone()
    }

    fn missed(&self) -> u64 {
        0
    }
}

fn pipeline() -> Pipeline<Named> {
    let (recorder, _) = metrics::new(metrics::Settings::default());
    let named = Named(Attributed {
        identity: Arc::new(Identity::unknown("node")),
        peer: "peer".into(),
    });
    Pipeline::new(recorder, named, Settings::default())
}

fn socket() -> Vec<u8> {
    event::encode_socket(&Socket {
        cgroup: 1,
        local: [0; 16],
        remote: [0; 16],
        local_port: 50051,
        remote_port: 40000,
        process: 1,
        command: [0; 16],
        protocol: Protocol::Http2 as u8,
        role: Role::Passive as u8,
        joined: 0,
        requests: 1,
        reserved: [0; 4],
    })
    .to_vec()
}

/// As the ring holds it.
fn bytes((record, payload): &(Record, Vec<u8>)) -> Vec<u8> {
    [&event::encode(record)[..], payload].concat()
}

/// Calls in batches of a drained ring's usual size, so many of them at once.
const BATCH: u32 = 100;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let [form, at_once, batches] = arguments.as_slice() else {
        println!("instructions FORM CALLS-AT-ONCE BATCHES: for `cargo xtask instructions`");
        return;
    };
    let at_once: u32 = at_once.parse().expect("a number of calls at once");
    let batches: u32 = batches.parse().expect("a number of batches");
    let form = Form::ALL
        .into_iter()
        .find(|known| known.name() == form)
        .expect("a form of call_records");

    let mut wire = Wire::new(form);
    let socket = socket();
    let opened = wire.record(Direction::Ingress, Kind::Socket, &socket);
    let mut pipeline = pipeline();
    let mut play = |records: &[Vec<u8>], time: u64| {
        let now = Now {
            monotonic: time,
            ..Now::default()
        };
        pipeline.advance(now, Instant::now());
        for record in records {
            let (record, payload) = event::decode(record).expect("a whole record");
            pipeline.on_record(&record, payload);
        }
    };
    let mut opening = vec![bytes(&(opened, socket))];
    opening.extend(wire.calls(1).iter().map(bytes));
    play(&opening, 0);

    // Made before they are played, and the same number whatever is played: only playing differs between two runs.
    let whole: Vec<Vec<Vec<u8>>> = (0..MAX_BATCHES)
        .map(|_| {
            let calls = (0..BATCH / at_once).flat_map(|_| wire.calls(at_once));
            calls.map(|record| bytes(&record)).collect()
        })
        .collect();
    for (batch, time) in whole.iter().take(batches as usize).zip(1..) {
        play(batch, time);
    }
    println!("{} calls", counted(&pipeline));
}

/// The calls that ended OK, as a scrape has them.
fn counted(pipeline: &Pipeline<Named>) -> u64 {
    let page = metrics::render::render(pipeline.recorder().registry(), Format::Text);
    let page = String::from_utf8(page).expect("an exposition is text");
    let lines = page
        .lines()
        .filter(|line| line.starts_with("marty_grpc_requests_total{"));
    let ok = lines.filter(|line| line.contains("status=\"OK\""));
    ok.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// More than `cargo xtask instructions` asks for.
const MAX_BATCHES: u32 = 40;
