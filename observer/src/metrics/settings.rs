//! What the configuration decides about metrics.

use std::time::Duration;

use super::histogram::Buckets;

/// Series in all, by default. One method costs about 20 series and 1 KiB here, so this is about 2,400 methods and
/// 3 MB: more than the services of one node have, and a scrape of about 7 MB, which Prometheus still takes.
pub const DEFAULT_MAX_SERIES: usize = 50_000;
/// Methods per service, by default. The largest public gRPC APIs have about 150 methods in one process.
pub const DEFAULT_MAX_METHODS: usize = 200;
/// An hour: longer than any range that alerts look at by default, short enough that a rollout's pods go.
pub const DEFAULT_SERIES_IDLE: Duration = Duration::from_hours(1);

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub buckets: Buckets,
    pub namespace: bool,
    pub pod: bool,
    /// Whether calls that local sockets send are counted as well.
    pub client: bool,
    /// Ceiling of methods per service, and of peer and method pairs per calling service.
    pub max_methods: usize,
    /// Above this no service and no method gets series of its own.
    pub max_series: usize,
    /// Series that were not counted into for this long go.
    pub series_idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            buckets: Buckets::default(),
            namespace: true,
            pod: true,
            client: true,
            max_methods: DEFAULT_MAX_METHODS,
            max_series: DEFAULT_MAX_SERIES,
            series_idle: DEFAULT_SERIES_IDLE,
        }
    }
}
