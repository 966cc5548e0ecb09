//! Counting: the writer, and the handles that a connection keeps.
//!
//! A connection asks the [`Recorder`] once for its service and once for each method, and keeps the handles.
//! Counting a call through a handle is a look at one flag, an index and an add.
//!
//! Series that nobody counts into for [`Settings::series_idle`](super::Settings) and that have no call in flight are
//! *retired*: taken out of the exposition, their place under the ceilings given back. A connection may still hold a
//! handle; its next count finds the flag set and asks again by the labels, like a connection that is new. So no
//! count is lost and two connections always come to the same cells; the counters restart from 0, which Prometheus
//! reads as the reset that it is. (Keeping the retired cells for the handles' sake was the alternative: one idle
//! connection could then hold a place under the ceiling for every path it ever sent.)

mod backlog;

use std::collections::HashMap;
use std::sync::Arc;

pub use self::backlog::Backlog;
use super::label::{self, Method, ServiceLabels, Side, Status};
use super::own::Refused;
use super::registry::Registry;
use super::series::{Half, Labels, MethodSeries, ServiceSeries};

/// Retired series are looked for this often at most; a sweep touches every method once.
const SWEEP_NANOSECONDS: u64 = 5_000_000_000;

/// Told by the pipeline once per batch, so that counting reads no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub monotonic: u64,
    /// Nanoseconds since 1970.
    pub unix: u64,
}

/// How a call ended, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub status: Status,
    /// `None` where the beginning or the end was not seen; then there is no observation in the histogram.
    pub duration_nanoseconds: Option<u64>,
    /// Whether [`MethodCells::started`] was called for this call: only then was it in flight. A call that was
    /// joined late ends without having begun, and must not take the place of another.
    pub was_started: bool,
}

/// Handle on the series of one service. Clone freely; keep on the pipeline's thread.
#[derive(Clone, Debug)]
pub struct ServiceCells(Arc<ServiceSeries>);

/// Handle on the series of one method. Clone freely; keep on the pipeline's thread.
#[derive(Clone, Debug)]
pub struct MethodCells(Arc<MethodSeries>);

#[derive(Debug)]
struct Service {
    series: Arc<ServiceSeries>,
    /// By rendered own labels, so that paths that look the same after escaping share their series.
    server: HashMap<Box<str>, Arc<MethodSeries>>,
    client: HashMap<Box<str>, Arc<MethodSeries>>,
}

impl Service {
    fn new(series: Arc<ServiceSeries>) -> Self {
        Self {
            series,
            server: HashMap::new(),
            client: HashMap::new(),
        }
    }

    fn methods(&mut self, half: Half) -> &mut HashMap<Box<str>, Arc<MethodSeries>> {
        match half {
            Half::Server => &mut self.server,
            Half::Client => &mut self.client,
        }
    }
}

/// The one writer. Not `Clone`: whoever holds it is alone.
#[derive(Debug)]
pub struct Recorder {
    registry: Arc<Registry>,
    services: HashMap<String, Service>,
    now: Now,
    swept: u64,
    /// Series exported now; compared with the ceiling.
    series: usize,
}

impl Recorder {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            services: HashMap::new(),
            now: Now::default(),
            swept: 0,
            series: 0,
        }
    }

    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// To be called before the counts of a batch, and also when nothing happens, so that the dead expire.
    pub fn advance(&mut self, now: Now) {
        self.now = now;
        if now.monotonic.saturating_sub(self.swept) >= SWEEP_NANOSECONDS {
            self.swept = now.monotonic;
            self.sweep();
        }
    }

    /// For a method of a connection whose service has no name yet.
    pub fn backlog(&self) -> Backlog {
        Backlog::new(self.registry.settings().buckets.clone())
    }

    /// The service's handle; under `_other` when the ceiling is reached.
    pub fn service(&mut self, labels: &ServiceLabels<'_>) -> ServiceCells {
        let settings = self.registry.settings();
        let (mut own, mut pod) = (String::new(), String::new());
        label::pair_into(&mut own, "service", labels.service.as_bytes());
        if settings.namespace {
            label::pair_into(&mut pod, "namespace", labels.namespace.as_bytes());
        }
        if settings.pod {
            label::pair_into(&mut pod, "pod", labels.pod.as_bytes());
        }
        ServiceCells(self.admit_service(Labels {
            own: own.into(),
            pod: pod.into(),
        }))
    }

    /// The method's handle; under `_other` when a ceiling is reached or the path is too long for a label.
    pub fn method(&mut self, service: &ServiceCells, side: Side<'_>, method: Method<'_>) -> MethodCells {
        let name = match method {
            Method::Path(path) if path.len() <= label::MAX_LABEL_VALUE => path,
            Method::Path(_) => {
                self.registry.own().refused.of(Refused::MethodTooLong).add(1);
                label::OTHER.as_bytes()
            }
            Method::Unknown => label::UNKNOWN.as_bytes(),
            Method::Other => label::OTHER.as_bytes(),
        };
        let mut own = String::from(&*service.0.labels.own);
        if let Side::Client { peer } = side {
            label::pair_into(&mut own, "peer", peer.as_bytes());
        }
        label::pair_into(&mut own, "method", name);
        MethodCells(self.admit_method(&service.0.labels, side.into(), own.into()))
    }

    fn admit_service(&mut self, labels: Labels) -> Arc<ServiceSeries> {
        let key = ServiceSeries::key(&labels);
        if let Some(service) = self.services.get(&key) {
            return Arc::clone(&service.series);
        }
        let other = Labels {
            own: format!("service=\"{}\"", label::OTHER).into(),
            pod: "".into(),
        };
        if labels != other && self.series + ServiceSeries::COST > self.registry.settings().max_series {
            self.registry.own().refused.of(Refused::Service).add(1);
            return self.admit_service(other);
        }
        let series = Arc::new(ServiceSeries::new(labels));
        series.life.touched.set(self.now.monotonic);
        self.services.insert(key, Service::new(Arc::clone(&series)));
        self.registry.publish_service(Arc::clone(&series));
        self.hold(ServiceSeries::COST);
        series
    }

    /// A service that is admitted always has its `_other`; so the ceiling may be passed by that much, and by the
    /// statuses of the methods that were admitted below it.
    fn admit_method(&mut self, service: &Labels, half: Half, own: Box<str>) -> Arc<MethodSeries> {
        // Again, because a handle may hold a service that was retired meanwhile.
        let owner = self.admit_service(service.clone());
        let (max_methods, max_series) = (
            self.registry.settings().max_methods,
            self.registry.settings().max_series,
        );
        let cost = MethodSeries::cost(half, &self.registry.settings().buckets);
        let series_left = self.series + cost <= max_series;
        let Some(entry) = self.services.get_mut(&ServiceSeries::key(&owner.labels)) else {
            // Cannot be: admit_service has just put it there. Cells that nobody exports are the harmless answer.
            return Arc::new(MethodSeries::new(
                half,
                own,
                owner,
                &self.registry.settings().buckets,
            ));
        };
        let methods = entry.methods(half);
        if let Some(series) = methods.get(&own) {
            return Arc::clone(series);
        }
        let other = other_method(&owner.labels, half);
        if own != other {
            let places = methods.len() - usize::from(methods.contains_key(&other));
            let refused = if places >= max_methods {
                Some(Refused::Method)
            } else if owner.labels != *service || !series_left {
                Some(Refused::Series)
            } else {
                None
            };
            if let Some(reason) = refused {
                self.registry.own().refused.of(reason).add(1);
                let labels = owner.labels.clone();
                return self.admit_method(&labels, half, other);
            }
        }
        let series = Arc::new(MethodSeries::new(
            half,
            own.clone(),
            owner,
            &self.registry.settings().buckets,
        ));
        series.life.touched.set(self.now.monotonic);
        methods.insert(own, Arc::clone(&series));
        self.registry.publish_method(Arc::clone(&series));
        self.hold(cost);
        series
    }

    fn hold(&mut self, more: usize) {
        self.series += more;
        self.registry.own().series_held.set(self.series as u64);
    }

    fn sweep(&mut self) {
        let settings = self.registry.settings();
        let idle = u64::try_from(settings.series_idle.as_nanos()).unwrap_or(u64::MAX);
        let oldest = self.now.monotonic.saturating_sub(idle);
        let mut freed = 0;
        let mut expire_method = |series: &Arc<MethodSeries>| {
            let keep = series.in_flight.get() > 0 || series.life.touched.get() >= oldest;
            if !keep {
                freed += series.held(&settings.buckets);
                series.life.retire();
            }
            keep
        };
        let mut services_freed = 0;
        self.services.retain(|_, service| {
            service.server.retain(|_, series| expire_method(series));
            service.client.retain(|_, series| expire_method(series));
            let keep = !service.server.is_empty()
                || !service.client.is_empty()
                || service.series.active_connections.get() > 0
                || service.series.life.touched.get() >= oldest;
            if !keep {
                services_freed += ServiceSeries::COST;
                service.series.life.retire();
            }
            keep
        });
        let freed = freed + services_freed;
        if freed > 0 {
            self.registry.unpublish_retired();
            self.series = self.series.saturating_sub(freed);
            self.registry.own().series_held.set(self.series as u64);
            self.registry.own().series_expired.add(freed as u64);
        }
    }
}

/// `service="…"[,peer="_other"],method="_other"`
fn other_method(service: &Labels, half: Half) -> Box<str> {
    let mut own = String::from(&*service.own);
    if half == Half::Client {
        label::pair_into(&mut own, "peer", label::OTHER.as_bytes());
    }
    label::pair_into(&mut own, "method", label::OTHER.as_bytes());
    own.into()
}

impl ServiceCells {
    pub fn connection_opened(&mut self, recorder: &mut Recorder) {
        self.refresh(recorder).active_connections.add(1);
    }

    pub fn connection_closed(&mut self, recorder: &mut Recorder) {
        self.refresh(recorder).active_connections.subtract(1);
    }

    fn refresh(&mut self, recorder: &mut Recorder) -> &ServiceSeries {
        if self.0.life.is_retired() {
            self.0 = recorder.admit_service(self.0.labels.clone());
        }
        self.0.life.touched.set(recorder.now.monotonic);
        &self.0
    }
}

impl MethodCells {
    pub fn started(&mut self, recorder: &mut Recorder) {
        let series = self.refresh(recorder);
        series.started.add(1);
        series.in_flight.add(1);
    }

    pub fn ended(&mut self, recorder: &mut Recorder, end: End) {
        let End {
            status,
            duration_nanoseconds,
            was_started,
        } = end;
        let now = recorder.now;
        let series = self.refresh(recorder);
        if was_started {
            series.in_flight.subtract(1);
        }
        if let Some(nanoseconds) = duration_nanoseconds {
            series.duration.observe(nanoseconds);
        }
        if status == Status::Ok && series.half == Half::Server {
            series.service.last_success.set(now.unix);
        }
        let Some(cell) = series.ended.get(status.index()) else {
            return;
        };
        cell.add(1);
        if cell.get() == 1 {
            recorder.hold(MethodSeries::status_cost(status));
        }
    }

    /// DATA payload since the last time.
    pub fn bytes(&mut self, recorder: &mut Recorder, request: u64, response: u64) {
        let series = self.refresh(recorder);
        series.request_bytes.add(request);
        series.response_bytes.add(response);
    }

    fn refresh(&mut self, recorder: &mut Recorder) -> &MethodSeries {
        if self.0.life.is_retired() {
            self.0 = recorder.admit_method(&self.0.service.labels, self.0.half, self.0.labels.own.clone());
        }
        self.0.life.touched.set(recorder.now.monotonic);
        &self.0
    }
}

#[cfg(test)]
mod tests;
