//! What naming and measuring say of themselves: where names of pods come from, what was left out, what a pass costs.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::Snapshot;
use super::cpu::to_f64;
use crate::attribution::catalog::Catalog;
use crate::attribution::kubernetes::{List, Origin, Status};
use crate::attribution::resolver::limit::Limits;
use crate::attribution::roster::Roster;
use crate::metrics::catalogue;
use crate::metrics::collected::Measured;
use crate::metrics::family::Family;

/// Where the figures are.
#[derive(Debug)]
pub struct Account {
    pub limits: Arc<Limits>,
    pub status: Arc<Status>,
    pub catalog: Arc<RwLock<Catalog>>,
    pub roster: Arc<Mutex<Roster>>,
}

impl Account {
    pub fn measured(&self, snapshot: &Snapshot) -> Vec<Measured<'static>> {
        let Self {
            limits,
            status,
            catalog,
            roster,
        } = self;
        let limits = limits.read();
        let left_out = snapshot.left_out;
        let (pods, catalog_refused) = {
            let catalog = catalog.read().unwrap_or_else(PoisonError::into_inner);
            (catalog.living().count() as u64, catalog.refused)
        };
        let roster_refused = roster.lock().unwrap_or_else(PoisonError::into_inner).refused;
        let mut measured = vec![
            of(&catalogue::PODS, None, to_f64(pods)),
            of(&catalogue::KUBERNETES_ERRORS, None, to_f64(status.errors())),
            of(&catalogue::KUBERNETES_EVENTS, None, to_f64(status.events())),
            of(&catalogue::KUBERNETES_LISTS, None, to_f64(status.lists())),
            of(
                &catalogue::PROCESSES_DENIED,
                None,
                to_f64(limits.processes_denied),
            ),
            of(&catalogue::GAUGE_PASS, None, snapshot.cost.as_secs_f64()),
            of(
                &catalogue::OLDEST_SOCKETS,
                None,
                snapshot.oldest_list.as_secs_f64(),
            ),
        ];
        measured.extend(Origin::ALL.map(|origin| {
            let is = origin == status.origin();
            of(
                &catalogue::POD_ORIGIN,
                Some(origin.name()),
                f64::from(u8::from(is)),
            )
        }));
        measured.extend(List::ALL.map(|list| {
            let fails = status.failure(list).is_some();
            of(
                &catalogue::KUBERNETES_FAILING,
                Some(list.name()),
                f64::from(u8::from(fails)),
            )
        }));
        measured.extend(
            [
                ("cgroups", limits.cgroups_refused),
                ("sockets", limits.sockets_refused),
                ("owners", limits.owners_refused),
                ("objects", catalog_refused),
                ("members", roster_refused),
                ("services", left_out.services),
                ("pods", left_out.pods),
                ("namespaces", left_out.namespaces),
                ("connections", left_out.connections),
            ]
            .map(|(what, count)| of(&catalogue::LEFT_OUT, Some(what), to_f64(count))),
        );
        measured
    }
}

fn of(family: &'static Family, label: Option<&'static str>, value: f64) -> Measured<'static> {
    Measured {
        family,
        own: label.into_iter().collect(),
        namespace: "",
        pod: "",
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauge::LeftOut;

    #[test]
    fn every_family_and_one_origin() {
        let account = Account {
            limits: Arc::default(),
            status: Arc::default(),
            catalog: Arc::default(),
            roster: Arc::default(),
        };
        account.status.expected();
        let snapshot = Snapshot {
            left_out: LeftOut {
                services: 3,
                connections: 4,
                ..LeftOut::default()
            },
            oldest_list: std::time::Duration::from_secs(20),
            ..Snapshot::default()
        };
        let measured = account.measured(&snapshot);
        let value = |family: &Family, label: &str| {
            let mut found = measured
                .iter()
                .filter(|sample| sample.family == family && sample.own.join("") == label);
            found.next().map(|sample| sample.value)
        };
        assert_eq!(value(&catalogue::POD_ORIGIN, "cgroup"), Some(1.0));
        assert_eq!(value(&catalogue::POD_ORIGIN, "api"), Some(0.0));
        assert_eq!(value(&catalogue::LEFT_OUT, "services"), Some(3.0));
        assert_eq!(value(&catalogue::LEFT_OUT, "connections"), Some(4.0));
        assert_eq!(value(&catalogue::LEFT_OUT, "namespaces"), Some(0.0));
        assert_eq!(value(&catalogue::OLDEST_SOCKETS, ""), Some(20.0));
        assert_eq!(value(&catalogue::KUBERNETES_FAILING, "pods"), Some(0.0));
        assert_eq!(value(&catalogue::PODS, ""), Some(0.0));
    }
}
