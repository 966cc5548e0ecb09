//! From what a session could not tell to the observer's own numbers.

use observer_ebpf::loss::Loss;

use crate::metrics::Own;
use crate::metrics::own::{DaemonLoss, Lost, Refused};
use crate::rpc::CallLosses;
use crate::session::SessionLosses;

pub fn tell(losses: &SessionLosses, own: &Own) {
    // No `..`: a loss that is not exported must break the build.
    let SessionLosses {
        lost_records,
        // Counted by their cause in the kernel.
        gaps: _,
        resyncs,
        broken_frames,
        malformed_blocks,
        oversized_blocks,
        unknown_fields,
        undecided_blocks,
        contradictions,
        bad_records,
        calls,
    } = *losses;
    let CallLosses {
        non_grpc_requests,
        grpc_web_requests,
        unrecognised_streams,
        unknown_statuses,
        evicted_calls,
        idle_calls,
        doubtful_calls,
        unseen_requests,
        unseen_calls,
        refused_methods,
        // Bytes of streams that are no calls; the calls that were missed are counted as such.
        unattributed_bytes: _,
    } = calls;
    let reasons = [
        (DaemonLoss::RecordGap, lost_records),
        (
            DaemonLoss::BrokenFrame,
            broken_frames + contradictions + bad_records,
        ),
        (DaemonLoss::MalformedBlock, malformed_blocks),
        (DaemonLoss::UndecidedBlock, undecided_blocks),
        (DaemonLoss::UnknownStatus, unknown_statuses),
        (DaemonLoss::UnseenRequest, unseen_requests),
        (DaemonLoss::UnseenCall, unseen_calls),
        (DaemonLoss::UnrecognisedStream, unrecognised_streams),
        (DaemonLoss::EvictedCall, evicted_calls),
        (DaemonLoss::IdleCall, idle_calls),
        (DaemonLoss::DoubtfulCall, doubtful_calls),
    ];
    for (reason, times) in reasons {
        if times > 0 {
            own.lost(Lost::Daemon(reason)).add(u64::from(times));
        }
    }
    if oversized_blocks > 0 {
        own.lost(Lost::Kernel(Loss::OversizedBlock))
            .add(u64::from(oversized_blocks));
    }
    own.refused.of(Refused::Method).add(u64::from(refused_methods));
    own.unknown_fields.add(u64::from(unknown_fields));
    own.resynchronisations.add(u64::from(resyncs));
    own.other_requests
        .add(u64::from(non_grpc_requests) + u64::from(grpc_web_requests));
}
