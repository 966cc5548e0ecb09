//! From the registry to the bytes of one scrape, family by family.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::catalogue as families;
use super::collected::Sample;
use super::exposition::{Encoder, Format, Value};
use super::family::Family;
use super::process;
use super::registry::{Published, Registry};
use super::series::{Half, MethodSeries, ServiceSeries};

/// About what a sample takes, so that the text grows rarely.
const BYTES_PER_SERIES: usize = 150;

/// Renders everything. Reads cells without a lock, so a scrape is not one instant; within one histogram it is
/// consistent.
pub fn render(registry: &Registry, format: Format) -> Vec<u8> {
    let published = registry.published();
    let collected = registry.collected();
    let capacity = usize::try_from(registry.own().series_held.get()).unwrap_or_default() * BYTES_PER_SERIES;
    let mut scrape = Scrape {
        encoder: Encoder::new(format, capacity + 16 * 1024),
        single: single(registry, &collected),
        published,
    };
    for family in families::ALL {
        scrape.family(family);
    }
    scrape.encoder.finish()
}

type Single<'a> = HashMap<&'static str, Vec<(Labels<'a>, Value)>>;

enum Labels<'a> {
    Rendered(&'a str),
    Own(String),
}

/// Every sample that is not a call's, by the name of its family.
fn single<'a>(registry: &Registry, collected: &'a [Arc<[Sample]>]) -> Single<'a> {
    let mut single = Single::new();
    let mut add = |family: &'static Family, labels, value| {
        single.entry(family.name).or_default().push((labels, value));
    };
    registry.own().visit(|family, word, value| {
        let labels = match (word, family.labels) {
            (Some(word), [name, ..]) => format!("{name}=\"{word}\""),
            _ => String::new(),
        };
        add(family, Labels::Own(labels), Value::Whole(value));
    });
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    add(&families::BUILD_INFO, Labels::Own(version), Value::Whole(1));
    add(
        &families::START_TIME,
        Labels::Own(String::new()),
        Value::Nanoseconds(registry.started_unix()),
    );
    for (family, value) in process::measure() {
        add(family, Labels::Own(String::new()), value);
    }
    for sample in collected.iter().flat_map(|samples| samples.iter()) {
        add(
            sample.family,
            Labels::Rendered(&sample.labels),
            Value::Float(sample.value),
        );
    }
    single
}

struct Scrape<'a> {
    encoder: Encoder,
    single: Single<'a>,
    published: Published,
}

impl Scrape<'_> {
    fn family(&mut self, family: &'static Family) {
        match family.name {
            name if name == families::REQUESTS.name => self.statuses(family, Half::Server),
            name if name == families::CLIENT_REQUESTS.name => self.statuses(family, Half::Client),
            name if name == families::ERRORS.name => self.errors(family, Half::Server),
            name if name == families::CLIENT_ERRORS.name => self.errors(family, Half::Client),
            name if name == families::DURATION.name => self.durations(family, Half::Server),
            name if name == families::CLIENT_DURATION.name => self.durations(family, Half::Client),
            name if name == families::STARTED.name => self.cells(family, |series| series.started.get()),
            name if name == families::IN_FLIGHT.name => self.cells(family, |series| series.in_flight.get()),
            name if name == families::REQUEST_BYTES.name => {
                self.cells(family, |series| series.request_bytes.get());
            }
            name if name == families::RESPONSE_BYTES.name => {
                self.cells(family, |series| series.response_bytes.get());
            }
            name if name == families::ACTIVE_CONNECTIONS.name => {
                self.services(family, |series| {
                    Some(Value::Whole(series.active_connections.get()))
                });
            }
            name if name == families::LAST_SUCCESS.name => self.services(family, |series| {
                let at = series.last_success.get();
                (at > 0).then_some(Value::Nanoseconds(at))
            }),
            _ => self.single(family),
        }
    }

    fn single(&mut self, family: &'static Family) {
        let Some(samples) = self.single.get(family.name) else {
            return;
        };
        self.encoder.family(family);
        for (labels, value) in samples {
            let labels = match labels {
                Labels::Rendered(labels) => labels,
                Labels::Own(labels) => labels.as_str(),
            };
            self.encoder.sample(family, "", &[labels], *value);
        }
    }

    fn services(&mut self, family: &'static Family, value: impl Fn(&ServiceSeries) -> Option<Value>) {
        let mut head = Head::new(family);
        for series in &self.published.services {
            if let Some(value) = value(series) {
                head.write(&mut self.encoder);
                self.encoder
                    .sample(family, "", &[&series.labels.own, &series.labels.pod], value);
            }
        }
    }

    fn cells(&mut self, family: &'static Family, value: impl Fn(&MethodSeries) -> u64) {
        let mut head = Head::new(family);
        for series in methods(&self.published, Half::Server) {
            head.write(&mut self.encoder);
            let labels = [&*series.labels.own, &*series.labels.pod];
            self.encoder
                .sample(family, "", &labels, Value::Whole(value(series)));
        }
    }

    fn statuses(&mut self, family: &'static Family, half: Half) {
        self.by_status(family, half, &STATUS_LABELS);
    }

    fn errors(&mut self, family: &'static Family, half: Half) {
        self.by_status(family, half, &ERROR_LABELS);
    }

    fn by_status(&mut self, family: &'static Family, half: Half, labels: &[&str; 18]) {
        let mut head = Head::new(family);
        for series in methods(&self.published, half) {
            for (label, cell) in labels.iter().zip(&series.ended) {
                let value = cell.get();
                if value > 0 && !label.is_empty() {
                    head.write(&mut self.encoder);
                    let labels = [&*series.labels.own, label, &*series.labels.pod];
                    self.encoder.sample(family, "", &labels, Value::Whole(value));
                }
            }
        }
    }

    fn durations(&mut self, family: &'static Family, half: Half) {
        let mut head = Head::new(family);
        for series in methods(&self.published, half) {
            head.write(&mut self.encoder);
            let labels = [&*series.labels.own, &*series.labels.pod];
            let mut total = 0;
            for (bound, count) in series.duration.cumulative() {
                let labels = [labels[0], labels[1], bound];
                self.encoder
                    .sample(family, "_bucket", &labels, Value::Whole(count));
                total = count;
            }
            let sum = Value::Nanoseconds(series.duration.sum_nanoseconds());
            self.encoder.sample(family, "_sum", &labels, sum);
            self.encoder
                .sample(family, "_count", &labels, Value::Whole(total));
        }
    }
}

fn methods(published: &Published, half: Half) -> impl Iterator<Item = &MethodSeries> {
    published
        .methods
        .iter()
        .map(|series| &**series)
        .filter(move |series| series.half == half)
}

/// The head lines of a family, written before its first sample: a family without samples is absent.
struct Head(Option<&'static Family>);

impl Head {
    fn new(family: &'static Family) -> Self {
        Self(Some(family))
    }

    fn write(&mut self, encoder: &mut Encoder) {
        if let Some(family) = self.0.take() {
            encoder.family(family);
        }
    }
}

pub(super) fn unix_nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Rendered once, in the order of `Status::ALL`.
macro_rules! status_labels {
    ($name:ident, $label:literal, $ok:expr, $unobserved:expr) => {
        static $name: [&str; 18] = [
            $ok,
            concat!($label, "=\"CANCELLED\""),
            concat!($label, "=\"UNKNOWN\""),
            concat!($label, "=\"INVALID_ARGUMENT\""),
            concat!($label, "=\"DEADLINE_EXCEEDED\""),
            concat!($label, "=\"NOT_FOUND\""),
            concat!($label, "=\"ALREADY_EXISTS\""),
            concat!($label, "=\"PERMISSION_DENIED\""),
            concat!($label, "=\"RESOURCE_EXHAUSTED\""),
            concat!($label, "=\"FAILED_PRECONDITION\""),
            concat!($label, "=\"ABORTED\""),
            concat!($label, "=\"OUT_OF_RANGE\""),
            concat!($label, "=\"UNIMPLEMENTED\""),
            concat!($label, "=\"INTERNAL\""),
            concat!($label, "=\"UNAVAILABLE\""),
            concat!($label, "=\"DATA_LOSS\""),
            concat!($label, "=\"UNAUTHENTICATED\""),
            $unobserved,
        ];
    };
}

status_labels!(STATUS_LABELS, "status", "status=\"OK\"", "status=\"_unobserved\"");
// OK is no error, and a call whose end was not seen is not known to be one: connections older than the observer
// would otherwise look like an outage after each of its restarts.
status_labels!(ERROR_LABELS, "error_type", "", "");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Status;

    #[test]
    fn labels_are_the_names_of_the_statuses() {
        for status in Status::ALL {
            assert_eq!(
                STATUS_LABELS[status.index()],
                format!("status=\"{}\"", status.name())
            );
            if !matches!(status, Status::Ok | Status::Unobserved) {
                assert_eq!(
                    ERROR_LABELS[status.index()],
                    format!("error_type=\"{}\"", status.name())
                );
            }
        }
    }
}
