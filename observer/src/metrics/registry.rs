//! What scrapes read: the list of series, the observer's own numbers, and what collectors publish.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::collected::{Collection, Sample, Slot};
use super::own::Own;
use super::render;
use super::series::{MethodSeries, ServiceSeries};
use super::settings::Settings;

#[derive(Debug)]
pub struct Registry {
    settings: Settings,
    own: Own,
    started_unix: u64,
    published: Mutex<Published>,
    slots: Mutex<Vec<Arc<Slot>>>,
}

/// Series in the exposition, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Published {
    pub services: Vec<Arc<ServiceSeries>>,
    pub methods: Vec<Arc<MethodSeries>>,
}

/// A value under a lock is whole whenever the lock is free, so a panic elsewhere does not make it unusable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    pub(super) fn new(settings: Settings) -> Self {
        let own = Own::default();
        own.series_ceiling.set(settings.max_series as u64);
        let started_unix = render::unix_nanoseconds();
        Self {
            settings,
            own,
            started_unix,
            published: Mutex::default(),
            slots: Mutex::default(),
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn own(&self) -> &Own {
        &self.own
    }

    /// When the registry was made, which is when the daemon started; nanoseconds since 1970.
    pub fn started_unix(&self) -> u64 {
        self.started_unix
    }

    /// A place for one collector to publish to; it is in the exposition from the first publication on.
    pub fn collection(self: &Arc<Self>) -> Collection {
        let slot = Arc::new(Slot::default());
        lock(&self.slots).push(Arc::clone(&slot));
        Collection::new(Arc::clone(self), slot)
    }

    /// What every collector published last.
    pub fn collected(&self) -> Vec<Arc<[Sample]>> {
        lock(&self.slots).iter().map(|slot| slot.latest()).collect()
    }

    /// A reference to each series. The pipeline waits for this only when a series comes or goes: about 20 ns a
    /// method.
    pub fn published(&self) -> Published {
        lock(&self.published).clone()
    }

    pub(super) fn publish_service(&self, series: Arc<ServiceSeries>) {
        lock(&self.published).services.push(series);
    }

    pub(super) fn publish_method(&self, series: Arc<MethodSeries>) {
        lock(&self.published).methods.push(series);
    }

    pub(super) fn unpublish_retired(&self) {
        let mut published = lock(&self.published);
        published.services.retain(|series| !series.life.is_retired());
        published.methods.retain(|series| !series.life.is_retired());
    }
}
