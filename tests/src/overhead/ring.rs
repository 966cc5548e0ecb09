//! What a call brings through the ring, and how long the kernel programs run for it: counted by programs of this
//! process's own, attached for it alone. Counting run times makes each run some 20 ns longer, which is in the figures.

use anyhow::{Context as _, Result};
use aya::sys::{Stats, enable_stats};
use observer_ebpf::record::{Kind, Record};

use super::pair::{Load, Pair};
use crate::capture::watch::attach;
use crate::cgroup::Cgroup;
use crate::process::Place;

/// Room for all records of a run: they are read when it is over.
const RING_BYTES: u32 = 64 << 20;
/// What the ring puts before a record, and to what it rounds up.
const RING_HEAD: usize = 8;
/// Some 600 bytes each.
const CALLS: u32 = 20_000;

/// Of one call, both of its sockets together.
#[derive(Debug, Clone, Copy)]
pub struct PerCall {
    pub records: f64,
    pub headers: f64,
    pub bytes: f64,
    pub runs: f64,
    pub kernel_nanoseconds: f64,
}

pub fn count(pair: Pair<'_>, load: Load) -> Result<PerCall> {
    let cgroup = Cgroup::new().map_err(|error| anyhow::anyhow!(error))?;
    let (probe, mut ring) =
        attach(Some(cgroup.path()), RING_BYTES).map_err(|error| anyhow::anyhow!(error))?;
    let place = Place {
        cgroup: Some(cgroup.path().to_owned()),
        ..Place::default()
    };
    let _stats = enable_stats(Stats::RunTime).context("the kernel counts no run times")?;
    let sums = || {
        probe
            .programs()
            .into_iter()
            .fold((0_u64, 0.0), |(runs, time), (_, more, took)| {
                (runs + more, time + took.as_secs_f64() * 1e9)
            })
    };
    let before = sums();
    pair.run(&place, load, [1, CALLS], None)?;
    let after = sums();
    let (mut records, mut headers, mut bytes) = (0_u32, 0_u32, 0_usize);
    ring.drain(usize::MAX, |record, payload| {
        records += 1;
        headers += u32::from(record.kind == Kind::Frame as u8);
        bytes += (RING_HEAD + size_of::<Record>() + payload.len()).next_multiple_of(8);
    });
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let (runs, bytes) = ((after.0 - before.0) as f64, bytes as f64);
    let calls = f64::from(CALLS + 1);
    Ok(PerCall {
        records: f64::from(records) / calls,
        headers: f64::from(headers) / calls,
        bytes: bytes / calls,
        runs: runs / calls,
        kernel_nanoseconds: (after.1 - before.1) / calls,
    })
}
