//! What came out, as lines.

use observer::rpc::CallLosses;
use observer::session::{CallEvent, Ended, MethodIndex, Session, SessionLosses};

pub(super) fn event(session: &Session, event: &CallEvent) -> String {
    let millis = |time: u64| time / 1_000_000;
    match *event {
        CallEvent::Started { stream, method, time } => {
            format!(
                "started {} {} @{}",
                stream.number(),
                path(session, method),
                millis(time)
            )
        }
        CallEvent::Bytes {
            method,
            request,
            response,
        } => {
            format!("bytes {} {request}/{response}", path(session, method))
        }
        CallEvent::Ended(ended) => {
            let Ended {
                stream,
                method,
                status,
                started,
                ended,
                request_bytes,
                response_bytes,
            } = ended;
            let started = started.map_or("?".to_owned(), |started| millis(started).to_string());
            let span = format!("{started}-{}", millis(ended));
            let path = path(session, method);
            format!(
                "ended {} {path} {} {span} {request_bytes}/{response_bytes}",
                stream.number(),
                status.name()
            )
        }
    }
}

fn path(session: &Session, method: MethodIndex) -> String {
    match method {
        MethodIndex::UNKNOWN => "_unknown".to_owned(),
        MethodIndex::OTHER => "_other".to_owned(),
        _ => String::from_utf8_lossy(session.method(method)).into_owned(),
    }
}

pub(super) fn losses(losses: &SessionLosses) -> Vec<String> {
    let SessionLosses {
        lost_records,
        gaps,
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
        unattributed_bytes,
    } = calls;
    let named = [
        // Counts of records depend on the size of pieces; that there were any does not.
        ("lost_records", u64::from(lost_records.min(1))),
        ("gaps", gaps.into()),
        ("resyncs", resyncs.into()),
        ("broken_frames", broken_frames.into()),
        ("malformed_blocks", malformed_blocks.into()),
        ("oversized_blocks", oversized_blocks.into()),
        ("unknown_fields", unknown_fields.into()),
        ("undecided_blocks", undecided_blocks.into()),
        ("contradictions", contradictions.into()),
        ("bad_records", bad_records.into()),
        ("non_grpc_requests", non_grpc_requests.into()),
        ("grpc_web_requests", grpc_web_requests.into()),
        ("unrecognised_streams", unrecognised_streams.into()),
        ("unknown_statuses", unknown_statuses.into()),
        ("evicted_calls", evicted_calls.into()),
        ("idle_calls", idle_calls.into()),
        ("doubtful_calls", doubtful_calls.into()),
        ("unseen_requests", unseen_requests.into()),
        ("unseen_calls", unseen_calls.into()),
        ("refused_methods", refused_methods.into()),
        ("unattributed_bytes", unattributed_bytes),
    ];
    named
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("loss {name} {count}"))
        .collect()
}
