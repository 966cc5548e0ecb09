//! TCP sockets of the node by state, from one list of all.

use std::sync::Arc;

use super::cpu::to_f64;
use super::{Family, Sample};
use crate::attribution::socket::{Sockets, State};

/// All states, those without a socket too: a series that comes and goes cannot be alerted on.
pub fn samples(sockets: &Sockets, samples: &mut Vec<Sample>) {
    let mut counts = [0_u64; State::ALL.len()];
    for entry in &sockets.entries {
        // Two states of the kernel are one word.
        let first = State::ALL
            .iter()
            .position(|state| state.name() == entry.state.name());
        if let Some(count) = first.and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
    }
    let named = State::ALL
        .iter()
        .zip(counts)
        .filter(|(state, _)| **state != State::NewSynReceived);
    samples.extend(named.map(|(state, count)| Sample {
        family: Family::NodeTcpConnections,
        identity: None,
        kind: Arc::from(state.name()),
        value: to_f64(count),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::socket::{Address, Entry};

    #[test]
    fn every_state_once() {
        let at = Address::new([127, 0, 0, 1], 1);
        let entry = |state| Entry {
            local: at,
            remote: at,
            state,
            inode: 0,
            cgroup: 0,
        };
        let sockets = Sockets::of(vec![
            entry(State::Established),
            entry(State::Established),
            entry(State::SynReceived),
            entry(State::NewSynReceived),
        ]);
        let mut list = Vec::new();
        samples(&sockets, &mut list);
        let nonzero: Vec<_> = list
            .iter()
            .filter(|sample| sample.value > 0.0)
            .map(|sample| (&*sample.kind, sample.value))
            .collect();
        assert_eq!(nonzero, [("established", 2.0), ("syn_recv", 2.0)]);
        assert_eq!(list.len(), 11);
    }
}
