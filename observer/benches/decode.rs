//! Records in, finished calls out, on one core: the second and later calls of a connection.
#![expect(clippy::expect_used, reason = "its inputs are its own")]

mod call_records;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use observer::session::{CallEvent, Session};
use observer_ebpf::record::Record;

use self::call_records::{Form, Wire};

const CALLS: u32 = 1_000;

fn play(session: &mut Session, records: &[(Record, Vec<u8>)], events: &mut Vec<CallEvent>) -> usize {
    let mut ended = 0;
    for (record, payload) in records {
        events.clear();
        session.on_record(record, payload, events);
        ended += events
            .iter()
            .filter(|event| matches!(event, CallEvent::Ended(_)))
            .count();
    }
    ended
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(CALLS.into()));
    for form in Form::ALL {
        let mut wire = Wire::new(form);
        let opening = wire.calls(1);
        let records: Vec<_> = (0..CALLS).flat_map(|_| wire.calls(1)).collect();
        group.bench_function(form.name(), |bencher| {
            let mut events = Vec::with_capacity(16);
            bencher.iter_batched_ref(
                || {
                    let mut session = Session::new(false);
                    play(&mut session, &opening, &mut Vec::new());
                    session
                },
                |session| {
                    let ended = play(session, black_box(&records), &mut events);
                    assert_eq!(ended, records.len() / 3);
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
