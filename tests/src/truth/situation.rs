//! The situations: what is done to the programs and the observer, and which of it may stay out of the observer's sight.

mod encrypted;

use super::act;
use super::act::Act;
use super::plans::{self, Plan};
use super::verdict::Sight;
use crate::namespace::Faults;

/// Statuses that programs do not tell apart reliably: a deadline reaches the other side as a reset.
pub const ABANDONED: &[&str] = &["CANCELLED", "DEADLINE_EXCEEDED"];
/// A connection that breaks under a call ends it as UNAVAILABLE; a server may be faster with a reset.
const BROKEN_OFF: &[&str] = &["CANCELLED", "UNAVAILABLE"];

#[derive(Debug, Clone, Copy)]
pub struct Situation {
    pub name: &'static str,
    /// What happens, for the page.
    pub about: &'static str,
    /// Whether `--quick` has it.
    pub is_quick: bool,
    pub plan: Plan,
    pub act: Act,
    pub around: Around,
    pub sight: Sight,
    /// Whether clients may send calls that no server looks at, above the last stream of its GOAWAY, and send them again
    /// elsewhere: on the wire they are calls that ended UNAVAILABLE, to the programs they are nothing.
    pub may_repeat: bool,
    /// Statuses that are one for the judgement.
    pub alike: &'static [&'static str],
    pub judge: Judge,
}

/// Whose counts are the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// Each program's at its own socket.
    Both,
    /// The server's: there are clients that give up calls which they never sent.
    Server,
}

/// What surrounds a cell.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    pub address: &'static str,
    pub max_age_ms: u32,
    pub keepalive_ms: u32,
    /// Two namespaces, and the road between them.
    pub road: Option<Faults>,
    /// SIGUSR2 to both programs, without end.
    pub storm: bool,
    /// More runners than CPUs.
    pub pressure: bool,
    /// The ring between the kernel and the daemon; 0: the daemon's default.
    pub ring_bytes: u32,
    /// Percent of one core that the observer may have; 0: all.
    pub observer_percent: u32,
    /// All connections are TLS, and the observer looks into them.
    pub tls: bool,
}

/// Where other things than the ring are in question. The default, 8 MiB, overflows when 100 kB of metadata a call meet a
/// machine on which the observer is not scheduled for a second; that is then reported, but it is another situation.
const AMPLE_RING: u32 = 64 << 20;

/// It has its own programs.
pub const INTEROP: &str = "interop";

const LOOPBACK: Around = Around {
    address: "127.0.0.1",
    max_age_ms: 0,
    keepalive_ms: 0,
    road: None,
    storm: false,
    pressure: false,
    ring_bytes: AMPLE_RING,
    observer_percent: 0,
    tls: false,
};

const PLAIN: Situation = Situation {
    name: "",
    about: "",
    is_quick: true,
    plan: plans::assorted,
    act: act::plain,
    around: LOOPBACK,
    sight: Sight::Whole,
    may_repeat: false,
    alike: ABANDONED,
    judge: Judge::Both,
};

const fn quick(name: &'static str, about: &'static str, plan: Plan) -> Situation {
    Situation {
        name,
        about,
        plan,
        ..PLAIN
    }
}

const fn whole(name: &'static str, about: &'static str, plan: Plan) -> Situation {
    Situation {
        is_quick: false,
        ..quick(name, about, plan)
    }
}

const fn road(name: &'static str, about: &'static str, permille: u32, is_quick: bool) -> Situation {
    Situation {
        is_quick,
        around: Around {
            address: crate::namespace::SERVER[0],
            road: Some(Faults {
                lost_permille: permille,
                late_permille: permille,
            }),
            ..LOOPBACK
        },
        ..quick(name, about, plans::assorted)
    }
}

/// All of them, in the order of the table.
pub const ALL: &[Situation] = &joined::<{ CLEAR.len() + encrypted::ALL.len() }>(CLEAR, encrypted::ALL);

const fn joined<const COUNT: usize>(first: &[Situation], second: &[Situation]) -> [Situation; COUNT] {
    let mut all = [PLAIN; COUNT];
    let (head, tail) = all.split_at_mut(first.len());
    head.copy_from_slice(first);
    tail.copy_from_slice(second);
    all
}

const CLEAR: &[Situation] = &[
    quick(
        "one-stream",
        "unary calls, one after the other on one connection",
        plans::one_stream,
    ),
    quick(
        "ten-streams",
        "unary calls, 10 at once on one connection",
        plans::ten_streams,
    ),
    quick(
        "hundred-streams",
        "unary calls, 100 at once on one connection",
        plans::hundred_streams,
    ),
    quick(
        "streaming",
        "server, client and bidirectional streams, empty ones too",
        plans::streaming,
    ),
    quick(
        "statuses",
        "each of the 17 statuses in trailers after headers",
        plans::statuses,
    ),
    quick(
        "trailers-only",
        "each status but OK, without headers before it",
        plans::trailers_only,
    ),
    Situation {
        act: act::unimplemented::run,
        ..quick(
            "unimplemented",
            "methods and services that the server does not have",
            plans::unimplemented,
        )
    },
    quick(
        "large-metadata",
        "20 to 35 kB of metadata each way, HEADERS and CONTINUATION",
        plans::large_metadata,
    ),
    quick("sizes", "messages from 0 B to 8 MB, both ways", plans::sizes),
    Situation {
        judge: Judge::Server,
        ..quick(
            "deadline",
            "deadlines met while the server sleeps",
            plans::deadline,
        )
    },
    Situation {
        judge: Judge::Server,
        ..quick("cancel", "calls cancelled before any response", plans::cancel)
    },
    quick(
        "cancel-after-first",
        "streams cancelled after their first response",
        plans::cancel_after_first,
    ),
    Situation {
        act: act::killed::server,
        alike: BROKEN_OFF,
        ..quick(
            "server-killed",
            "SIGKILL to the server with calls under way",
            plans::hanging,
        )
    },
    Situation {
        act: act::killed::client,
        alike: BROKEN_OFF,
        ..quick(
            "client-killed",
            "SIGKILL to the client with calls under way",
            plans::hanging,
        )
    },
    Situation {
        around: Around {
            max_age_ms: 250,
            ..LOOPBACK
        },
        may_repeat: true,
        judge: Judge::Server,
        ..quick(
            "goaway",
            "the server ends connections of 250 ms of age",
            plans::aging,
        )
    },
    Situation {
        around: Around {
            keepalive_ms: 100,
            ..LOOPBACK
        },
        ..whole(
            "keepalive",
            "the server sends PING in every silence of 100 ms",
            plans::silence,
        )
    },
    quick("short-connections", "a connection for each call", plans::churn),
    quick(
        "long-connection",
        "1,600 calls on one connection, unique metadata",
        plans::long_connection,
    ),
    Situation {
        act: act::joined::started,
        sight: Sight::Partial,
        ..quick(
            "observer-starts",
            "the observer starts when the connections are in use",
            plans::assorted,
        )
    },
    Situation {
        act: act::joined::restarted,
        sight: Sight::Partial,
        ..whole(
            "observer-restarts",
            "the observer is restarted between calls",
            plans::assorted,
        )
    },
    Situation {
        act: act::overflow::run,
        sight: Sight::Partial,
        around: Around {
            ring_bytes: 65_536,
            ..LOOPBACK
        },
        ..quick(
            "ring-overflow",
            "the observer stands still until its ring of 64 KiB is full",
            plans::flood,
        )
    },
    road("namespaces", "two network namespaces and a veth pair", 0, false),
    Situation {
        around: Around {
            address: crate::namespace::SERVER[1],
            ..road("", "", 0, false).around
        },
        ..road("namespaces-ipv6", "the same over IPv6", 0, false)
    },
    road("loss-1", "1 % of packets lost and 1 % late, each way", 10, true),
    road("loss-5", "5 % of packets lost and 5 % late, each way", 50, false),
    Situation {
        around: Around {
            address: "::1",
            ..LOOPBACK
        },
        ..quick("ipv6", "loopback over IPv6", plans::assorted)
    },
    quick(
        "large-segments",
        "segments of 64 KiB full of frames",
        plans::large_segments,
    ),
    Situation {
        around: Around {
            storm: true,
            ..LOOPBACK
        },
        ..whole(
            "signal-storm",
            "SIGUSR2 to both programs all the time",
            plans::assorted,
        )
    },
    Situation {
        around: Around {
            pressure: true,
            ..LOOPBACK
        },
        ..whole(
            "cpu-pressure",
            "messages of 256 kB with twice as many runners as CPUs",
            plans::heavy,
        )
    },
    Situation {
        around: Around {
            observer_percent: 5,
            ring_bytes: 0,
            ..LOOPBACK
        },
        ..whole("starved", "the observer has 5 % of one core", plans::flood)
    },
    Situation {
        act: act::loaded::run,
        ..quick("h2load", "nghttp2's h2load as the client", plans::loaded)
    },
    Situation {
        act: act::proxied::nginx,
        ..quick(
            "nginx",
            "nginx in the middle: both hops, each at its own service",
            plans::assorted,
        )
    },
    Situation {
        act: act::proxied::envoy,
        ..whole(
            "envoy",
            "Envoy in the middle: both hops, each at its own service",
            plans::assorted,
        )
    },
    Situation {
        act: act::interop::run,
        // Each call's end is known exactly.
        alike: &[],
        ..whole(
            INTEROP,
            "the official interoperability cases, by the implementations' official servers and clients",
            plans::one_stream,
        )
    },
    Situation {
        act: act::timed::run,
        ..whole(
            "latency",
            "known durations: mean within 2 % + 0.2 ms, quantiles within a bucket",
            plans::timed,
        )
    },
    whole("everything", "the mixed plan of the workloads", plans::everything),
];
