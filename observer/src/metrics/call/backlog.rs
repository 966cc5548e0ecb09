//! Counts of one method whose service has no name yet. Numbers, not events: what waits does not grow with the calls,
//! so none of them ever has to be left out, and a beginning is never parted from its end.

use super::{End, MethodCells, Recorder};
use crate::metrics::histogram::{Buckets, Histogram};
use crate::metrics::label::Status;
use crate::metrics::series::{Half, MethodSeries};

/// About 350 bytes with the default buckets, 750 with the most.
#[derive(Debug)]
pub struct Backlog {
    started: u64,
    in_flight: u64,
    request_bytes: u64,
    response_bytes: u64,
    ended: [u64; Status::ALL.len()],
    duration: Histogram,
    last_success: Option<u64>,
}

impl Backlog {
    pub(super) fn new(buckets: Buckets) -> Self {
        Self {
            started: 0,
            in_flight: 0,
            request_bytes: 0,
            response_bytes: 0,
            ended: [0; Status::ALL.len()],
            duration: Histogram::new(buckets),
            last_success: None,
        }
    }

    pub fn started(&mut self) {
        self.started += 1;
        self.in_flight += 1;
    }

    pub fn bytes(&mut self, request: u64, response: u64) {
        self.request_bytes = self.request_bytes.wrapping_add(request);
        self.response_bytes = self.response_bytes.wrapping_add(response);
    }

    pub fn ended(&mut self, recorder: &Recorder, end: End) {
        let End {
            status,
            duration_nanoseconds,
            was_started,
        } = end;
        if was_started {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        if let Some(nanoseconds) = duration_nanoseconds {
            self.duration.observe(nanoseconds);
        }
        if status == Status::Ok {
            self.last_success = Some(recorder.now.unix);
        }
        if let Some(ended) = self.ended.get_mut(status.index()) {
            *ended += 1;
        }
    }

    /// Calls that began or ended: what is lost with it.
    pub fn calls(&self) -> u64 {
        self.started.max(self.ended.iter().sum())
    }
}

impl MethodCells {
    /// Counts what has waited.
    pub fn absorb(&mut self, recorder: &mut Recorder, backlog: &Backlog) {
        // No `..`: what is not counted must break the build.
        let Backlog {
            started,
            in_flight,
            request_bytes,
            response_bytes,
            ended,
            duration,
            last_success,
        } = backlog;
        let series = self.refresh(recorder);
        series.started.add(*started);
        series.in_flight.add(*in_flight);
        series.request_bytes.add(*request_bytes);
        series.response_bytes.add(*response_bytes);
        series.duration.absorb(duration);
        if let Some(unix) = *last_success
            && series.half == Half::Server
        {
            let before = series.service.last_success.get();
            series.service.last_success.set(before.max(unix));
        }
        let mut more = 0;
        for ((status, cell), times) in Status::ALL.iter().zip(&series.ended).zip(ended) {
            if *times > 0 && cell.get() == 0 {
                more += MethodSeries::status_cost(*status);
            }
            cell.add(*times);
        }
        if more > 0 {
            recorder.hold(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Format, Method, Now, ServiceLabels, Settings, Side, render};

    fn end(status: Status, milliseconds: u64, was_started: bool) -> End {
        End {
            status,
            duration_nanoseconds: was_started.then_some(milliseconds * 1_000_000),
            was_started,
        }
    }

    /// Whether counted at once or after waiting, a scrape shows the same.
    #[test]
    fn nothing_is_different_for_having_waited() {
        let ends = [
            end(Status::Ok, 1, true),
            end(Status::NotFound, 700, true),
            end(Status::Unobserved, 0, false),
        ];
        let scrape = |late: bool| {
            let (mut recorder, _) = crate::metrics::new(Settings::default());
            recorder.advance(Now {
                monotonic: 5,
                unix: 1_700_000_000_000_000_000,
            });
            let labels = ServiceLabels {
                service: "a",
                namespace: "",
                pod: "",
            };
            let service = recorder.service(&labels);
            let mut cells = recorder.method(&service, Side::Server, Method::Path(b"/p.S/M"));
            let mut backlog = recorder.backlog();
            for _ in 0..4 {
                if late {
                    backlog.started();
                } else {
                    cells.started(&mut recorder);
                }
            }
            for end in ends {
                if late {
                    backlog.bytes(3, 4);
                    backlog.ended(&recorder, end);
                } else {
                    cells.bytes(&mut recorder, 3, 4);
                    cells.ended(&mut recorder, end);
                }
            }
            if late {
                assert_eq!(backlog.calls(), 4);
                cells.absorb(&mut recorder, &backlog);
            }
            String::from_utf8(render::render(recorder.registry(), Format::Text)).expect("text")
        };
        let expected = scrape(false);
        assert!(
            expected.contains("marty_grpc_requests_in_flight{service=\"a\",method=\"/p.S/M\"} 2\n"),
            "{expected}"
        );
        let counted = |text: &str| -> Vec<String> {
            let calls = |line: &&str| !line.contains("marty_observer_") || line.contains("_series_");
            text.lines().filter(calls).map(str::to_owned).collect()
        };
        assert_eq!(counted(&scrape(true)), counted(&expected));
    }
}
