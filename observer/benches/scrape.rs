//! What a scrape of 10,000 series costs (aim: below 20 ms), and what counting a call costs.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use observer::metrics::{
    self, End, Format, Method, MethodCells, Recorder, ServiceLabels, Settings, Side, Status, render,
};

/// 20 services with 25 methods of 21 series each, and 2 of the service.
fn filled() -> (Recorder, Vec<MethodCells>) {
    let (mut recorder, _) = metrics::new(Settings::default());
    let mut handles = Vec::new();
    for service in 0..20 {
        let (name, pod) = (
            format!("order-processor-{service}"),
            format!("order-processor-7d9f8b6c5-{service:05}"),
        );
        let labels = ServiceLabels {
            service: &name,
            namespace: "production",
            pod: &pod,
        };
        let service = recorder.service(&labels);
        for method in 0..25 {
            let path = format!("/marty.orders.v1.OrderService/GetOrderNumber{method}");
            let mut cells = recorder.method(&service, Side::Server, Method::Path(path.as_bytes()));
            for milliseconds in 0..100 {
                count(&mut recorder, &mut cells, milliseconds);
            }
            handles.push(cells);
        }
    }
    (recorder, handles)
}

fn count(recorder: &mut Recorder, cells: &mut MethodCells, milliseconds: u64) {
    cells.started(recorder);
    cells.bytes(recorder, 16, 16);
    let duration_nanoseconds = Some(milliseconds * 1_000_000);
    cells.ended(
        recorder,
        End {
            status: Status::Ok,
            duration_nanoseconds,
            was_started: true,
        },
    );
}

fn benches(c: &mut Criterion) {
    let (mut recorder, mut handles) = filled();
    let series = recorder.registry().own().series_held.get();
    let mut group = c.benchmark_group("scrape");
    for format in [Format::Text, Format::OpenMetrics] {
        group.bench_function(format!("{series}_series_{format:?}"), |b| {
            b.iter(|| black_box(render::render(recorder.registry(), format)));
        });
    }
    group.finish();
    let mut index = 0;
    c.bench_function("count_one_call", |b| {
        b.iter(|| {
            index = (index + 1) % handles.len();
            count(&mut recorder, black_box(&mut handles[index]), 3);
        });
    });
}

criterion_group!(scrape, benches);
criterion_main!(scrape);
