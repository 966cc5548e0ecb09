//! Totals of the node, by `sysinfo`.

use std::sync::Arc;

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::cpu::to_f64;
use super::{Family, Sample};

#[derive(Debug)]
pub struct Node {
    system: Option<System>,
}

fn wanted() -> RefreshKind {
    RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing().with_usage())
        .with_memory(MemoryRefreshKind::nothing().with_ram())
}

impl Node {
    pub fn new() -> Self {
        Self {
            system: System::new_with_specifics(wanted()).ok(),
        }
    }

    pub fn samples(&mut self, samples: &mut Vec<Sample>) {
        let Some(system) = &mut self.system else { return };
        system.refresh_specifics(wanted());
        let values = [
            (Family::NodeCpu, f64::from(system.global_cpu_usage())),
            (Family::NodeMemoryTotal, to_f64(system.total_memory())),
            (Family::NodeMemoryAvailable, to_f64(system.available_memory())),
        ];
        samples.extend(values.map(|(family, value)| Sample {
            family,
            identity: None,
            kind: Arc::from(""),
            value,
        }));
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}
