//! Values that somebody measures from time to time (CPU, memory, database connections, kernel program times),
//! published whole, so that what is gone is gone from the next scrape.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::family::{Family, Merge};
use super::label;
use super::own::Refused;
use super::registry::{Registry, lock};

/// Samples of one publication. A node runs a few hundred pods, with a handful of gauges each.
pub const MAX_SAMPLES: usize = 20_000;

/// One value. The labels are as measured; escaping, order and the labels that are switched off are seen to when it
/// is published.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured<'a> {
    pub family: &'static Family,
    /// Values of the family's own labels, in its order.
    pub own: Vec<&'a str>,
    pub namespace: &'a str,
    pub pod: &'a str,
    pub value: f64,
}

/// One value, as it is exported.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub family: &'static Family,
    /// Rendered and escaped.
    pub labels: Box<str>,
    pub value: f64,
}

#[derive(Debug)]
pub struct Slot(Mutex<Arc<[Sample]>>);

impl Default for Slot {
    fn default() -> Self {
        Self(Mutex::new(Arc::default()))
    }
}

impl Slot {
    pub(super) fn latest(&self) -> Arc<[Sample]> {
        Arc::clone(&lock(&self.0))
    }
}

/// What one collector publishes to. When it is dropped, its last samples go.
#[derive(Debug)]
pub struct Collection {
    registry: Arc<Registry>,
    slot: Arc<Slot>,
}

impl Collection {
    pub(super) fn new(registry: Arc<Registry>, slot: Arc<Slot>) -> Self {
        Self { registry, slot }
    }

    /// Replaces what was published before. Samples whose labels are equal (because `pod` is switched off, or by the
    /// collector's mistake) become one by the family's [`Merge`]: a scrape with a series twice is refused whole.
    pub fn publish(&self, measured: &[Measured<'_>]) {
        let refused = measured.len().saturating_sub(MAX_SAMPLES);
        self.registry
            .own()
            .refused
            .of(Refused::Sample)
            .add(refused as u64);
        let mut samples: Vec<Sample> = Vec::with_capacity(measured.len().min(MAX_SAMPLES));
        let mut places: HashMap<(&str, Box<str>), usize> = HashMap::new();
        for measured in measured.iter().take(MAX_SAMPLES) {
            let sample = self.sample(measured);
            let place = *places
                .entry((sample.family.name, sample.labels.clone()))
                .or_insert(samples.len());
            match samples.get_mut(place) {
                Some(before) => before.value = merged(sample.family.merge, before.value, sample.value),
                None => samples.push(sample),
            }
        }
        *lock(&self.slot.0) = samples.into();
    }

    fn sample(&self, measured: &Measured<'_>) -> Sample {
        let Measured {
            family,
            own,
            namespace,
            pod,
            value,
        } = measured;
        let settings = self.registry.settings();
        let mut labels = String::new();
        for (name, value) in family.labels.iter().zip(own) {
            label::pair_into(&mut labels, name, value.as_bytes());
        }
        if family.has_pod() && settings.namespace {
            label::pair_into(&mut labels, "namespace", namespace.as_bytes());
        }
        if family.has_pod() && settings.pod {
            label::pair_into(&mut labels, "pod", pod.as_bytes());
        }
        Sample {
            family,
            labels: labels.into(),
            value: *value,
        }
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        *lock(&self.slot.0) = Arc::default();
    }
}

fn merged(merge: Merge, a: f64, b: f64) -> f64 {
    match merge {
        Merge::Sum => a + b,
        Merge::Least => a.min(b),
        Merge::Greatest => a.max(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Settings, catalogue};

    fn measured<'a>(family: &'static Family, own: &[&'a str], pod: &'a str, value: f64) -> Measured<'a> {
        Measured {
            family,
            own: own.to_vec(),
            namespace: "ns",
            pod,
            value,
        }
    }

    fn published(settings: Settings, input: &[Measured<'_>]) -> Vec<(String, f64)> {
        let registry = crate::metrics::new(settings).1;
        let collection = registry.collection();
        collection.publish(input);
        let samples = registry.collected().remove(0);
        samples
            .iter()
            .map(|sample| (sample.labels.to_string(), sample.value))
            .collect()
    }

    #[test]
    fn labels_in_the_order_of_the_contract() {
        let input = [measured(
            &catalogue::DATABASE_CONNECTIONS,
            &["a", "mysql"],
            "p",
            3.0,
        )];
        let expected = "service=\"a\",database=\"mysql\",namespace=\"ns\",pod=\"p\"".to_owned();
        assert_eq!(published(Settings::default(), &input), [(expected, 3.0)]);
    }

    #[test]
    fn pods_become_one_when_the_label_is_off() {
        let settings = Settings {
            pod: false,
            ..Settings::default()
        };
        let input = [
            measured(&catalogue::SERVICE_MEMORY, &["a"], "p", 3.0),
            measured(&catalogue::SERVICE_MEMORY, &["a"], "q", 4.0),
            measured(&catalogue::SERVICE_HEALTH, &["a"], "p", 1.0),
            measured(&catalogue::SERVICE_HEALTH, &["a"], "q", 0.0),
        ];
        let labels = "service=\"a\",namespace=\"ns\"".to_owned();
        assert_eq!(
            published(settings, &input),
            [(labels.clone(), 7.0), (labels, 0.0)]
        );
    }

    #[test]
    fn node_gauges_have_no_pod() {
        let input = [measured(&catalogue::NODE_CONNECTIONS, &["established"], "p", 1.0)];
        assert_eq!(
            published(Settings::default(), &input),
            [("state=\"established\"".to_owned(), 1.0)]
        );
    }

    #[test]
    fn too_many_samples_are_cut_and_counted() {
        let (_recorder, registry) = crate::metrics::new(Settings::default());
        let names: Vec<String> = (0..MAX_SAMPLES + 7).map(|index| format!("s{index}")).collect();
        let input: Vec<_> = names
            .iter()
            .map(|name| measured(&catalogue::SERVICE_CPU, &[name], "", 1.0))
            .collect();
        let collection = registry.collection();
        collection.publish(&input);
        assert_eq!(registry.collected()[0].len(), MAX_SAMPLES);
        assert_eq!(registry.own().refused.of(Refused::Sample).get(), 7);
        drop(collection);
        assert_eq!(registry.collected()[0].len(), 0);
    }
}
