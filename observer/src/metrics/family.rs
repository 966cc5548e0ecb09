//! What a metric family is: its name and everything that is said about it.

/// What Prometheus does with the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// `OpenMetrics` units; a family with one has it at the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    None,
    Seconds,
    Bytes,
}

impl Unit {
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Seconds => Some("seconds"),
            Self::Bytes => Some("bytes"),
        }
    }
}

/// How two samples become one when labels that told them apart are switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    Sum,
    Least,
    Greatest,
}

/// The section of the documentation a family belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Server,
    Client,
    Service,
    Node,
    Observer,
}

/// One family. `labels` are its own; those of [`Group::Server`], [`Group::Client`] and [`Group::Service`] are
/// followed by `namespace` and `pod`.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub merge: Merge,
    pub group: Group,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

impl Family {
    pub const fn new(group: Group, kind: Kind, name: &'static str, labels: &'static [&'static str]) -> Self {
        Self {
            name,
            kind,
            unit: Unit::None,
            merge: Merge::Sum,
            group,
            labels,
            help: "",
        }
    }

    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    #[must_use]
    pub const fn merge(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }

    #[must_use]
    pub const fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    /// Whether `namespace` and `pod` follow the family's own labels.
    pub const fn has_pod(&self) -> bool {
        matches!(self.group, Group::Server | Group::Client | Group::Service)
    }

    /// `OpenMetrics` names a counter family without the suffix of its samples.
    pub fn base_name(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }
}
