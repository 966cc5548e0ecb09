//! The situations over TLS: what the bytes are does not change, but how they come to the observer does.

use super::{ABANDONED, Around, BROKEN_OFF, Judge, LOOPBACK, Sight, Situation, act, plans, quick, whole};
use crate::truth::plans::Plan;

const TLS: Around = Around {
    tls: true,
    ..LOOPBACK
};

const fn tls(name: &'static str, about: &'static str, plan: Plan) -> Situation {
    Situation {
        around: TLS,
        ..whole(name, about, plan)
    }
}

const fn killed(name: &'static str, about: &'static str, act: act::Act) -> Situation {
    Situation {
        act,
        alike: BROKEN_OFF,
        ..tls(name, about, plans::hanging)
    }
}

/// Only the server is asked: clients give up calls that they never sent.
const fn abandoned(name: &'static str, about: &'static str, plan: Plan) -> Situation {
    Situation {
        judge: Judge::Server,
        alike: ABANDONED,
        ..tls(name, about, plan)
    }
}

pub const ALL: &[Situation] = &[
    Situation {
        around: TLS,
        ..quick(
            "tls-ten-streams",
            "TLS: unary calls, 10 at once on one connection",
            plans::ten_streams,
        )
    },
    tls(
        "tls-hundred-streams",
        "TLS: unary calls, 100 at once on one connection",
        plans::hundred_streams,
    ),
    tls(
        "tls-streaming",
        "TLS: server, client and bidirectional streams",
        plans::streaming,
    ),
    tls(
        "tls-statuses",
        "TLS: each of the 17 statuses in trailers after headers",
        plans::statuses,
    ),
    tls(
        "tls-trailers-only",
        "TLS: each status but OK, without headers before it",
        plans::trailers_only,
    ),
    tls(
        "tls-large-metadata",
        "TLS: 20 to 35 kB of metadata each way",
        plans::large_metadata,
    ),
    tls(
        "tls-sizes",
        "TLS: messages from 0 B to 8 MB, both ways",
        plans::sizes,
    ),
    abandoned(
        "tls-deadline",
        "TLS: deadlines met while the server sleeps",
        plans::deadline,
    ),
    abandoned(
        "tls-cancel",
        "TLS: calls cancelled before any response",
        plans::cancel,
    ),
    tls(
        "tls-cancel-after-first",
        "TLS: streams cancelled after their first response",
        plans::cancel_after_first,
    ),
    killed(
        "tls-server-killed",
        "TLS: SIGKILL to the server with calls under way",
        act::killed::server,
    ),
    killed(
        "tls-client-killed",
        "TLS: SIGKILL to the client with calls under way",
        act::killed::client,
    ),
    Situation {
        around: Around {
            max_age_ms: 250,
            ..TLS
        },
        may_repeat: true,
        ..abandoned(
            "tls-goaway",
            "TLS: the server ends connections of 250 ms of age",
            plans::aging,
        )
    },
    tls(
        "tls-short-connections",
        "TLS: a connection for each call",
        plans::churn,
    ),
    tls(
        "tls-long-connection",
        "TLS: 1,600 calls on one connection, unique metadata",
        plans::long_connection,
    ),
    Situation {
        act: act::joined::started,
        sight: Sight::Partial,
        ..tls(
            "tls-observer-starts",
            "TLS: the observer starts when the connections are in use",
            plans::assorted,
        )
    },
    Situation {
        act: act::loaded::run,
        ..tls("tls-h2load", "TLS: nghttp2's h2load as the client", plans::loaded)
    },
    Situation {
        act: act::proxied::nginx,
        ..tls(
            "tls-nginx",
            "TLS on both hops, nginx in the middle",
            plans::assorted,
        )
    },
    Situation {
        act: act::proxied::envoy,
        ..tls(
            "tls-envoy",
            "TLS on both hops, Envoy in the middle",
            plans::assorted,
        )
    },
    tls(
        "tls-everything",
        "TLS: the mixed plan of the workloads",
        plans::everything,
    ),
];
