//! The observer's numbers about itself. Any thread may count here: these are locked adds, made once per batch or
//! per rare event, never per call.

use std::fmt;

use observer_ebpf::loss::Loss;

use super::catalogue as families;
use super::cell::Tally;
use super::family::Family;

/// A label whose values are known beforehand.
pub trait Word: Copy + PartialEq + 'static {
    const ALL: &'static [Self];
    fn name(self) -> &'static str;
}

/// One number for each word.
pub struct Tallies<W: Word>(Box<[(W, Tally)]>);

impl<W: Word> Default for Tallies<W> {
    fn default() -> Self {
        Self(W::ALL.iter().map(|word| (*word, Tally::default())).collect())
    }
}

impl<W: Word> Tallies<W> {
    pub fn of(&self, word: W) -> &Tally {
        static NOWHERE: Tally = Tally::new();
        self.0
            .iter()
            .find(|(own, _)| *own == word)
            .map_or(&NOWHERE, |(_, tally)| tally)
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(word, tally)| (word.name(), tally.get()))
    }
}

impl<W: Word> fmt::Debug for Tallies<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Declares a label's values and their spelling in one place.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$word_doc])* $word,)+ }

        impl Word for $name {
            const ALL: &'static [Self] = &[$(Self::$word,)+];

            fn name(self) -> &'static str {
                match self { $(Self::$word => $text,)+ }
            }
        }
    };
}

words! {
    /// What did not come through, found by the daemon; [`Loss`] is what the kernel side finds.
    DaemonLoss {
        /// Records missing from the sequence of a connection.
        RecordGap = "record_gap",
        /// Pieces or frames that no correct peer sends in that order.
        BrokenFrame = "broken_frame",
        /// A header block that cannot be decoded.
        MalformedBlock = "malformed_block",
        /// A header block from before it was clear who is the client.
        UndecidedBlock = "undecided_block",
        /// The end of a call was seen, but what it said is older than the observer.
        UnknownStatus = "unknown_status",
        /// A call whose request was not seen.
        UnseenRequest = "unseen_request",
        /// A call of which nothing was seen: it is in none of the call counters.
        UnseenCall = "unseen_call",
        /// A stream of which it never became clear whether it was gRPC.
        UnrecognisedStream = "unrecognised_stream",
        /// A call given up because its connection has too many.
        EvictedCall = "evicted_call",
        /// A call given up because nothing came for too long.
        IdleCall = "idle_call",
        /// A call whose end may have been among lost records.
        DoubtfulCall = "doubtful_call",
        /// A connection given up to stay below the ceiling.
        EvictedConnection = "evicted_connection",
        /// An end of a connection that could not be remembered: what is told of it late is taken for a new one.
        ForgottenEnd = "forgotten_end",
        /// Calls whose connection had to go before their service had a name.
        UnnamedCall = "unnamed_call",
    }
}

words! {
    /// What a connection carries.
    Carries {
        Grpc = "grpc",
        OtherHttp2 = "http2",
        Http1 = "http1",
        Tls = "tls",
        Other = "other",
        /// One path of several: nothing in it can be told.
        Multipath = "mptcp",
    }
}

words! {
    /// Why there was no series of its own.
    Refused {
        /// A service above the ceiling of series.
        Service = "service",
        /// A method above the ceiling of methods of its service, or a request with one above that of its connection.
        Method = "method",
        /// A method above the ceiling of series.
        Series = "series",
        /// A path longer than a label value may be.
        MethodTooLong = "method_too_long",
        /// A collector measured more than fits.
        Sample = "sample",
    }
}

words! {
    /// Why the endpoint did not do what it was asked.
    EndpointRefused {
        Unauthorized = "unauthorized",
        /// Too many passwords to check at once.
        Busy = "busy",
        Tls = "tls",
        RateLimited = "rate_limited",
        /// The oldest had to go for a new one.
        Displaced = "displaced",
        /// Neither read nor wrote for too long.
        TimedOut = "timed_out",
    }
}

words! {
    /// What became of files in which processes encrypt.
    TlsFile {
        Probed = "probed",
        /// For a reason that `observer check --targets` gives.
        Skipped = "skipped",
        /// The kernel refused.
        Failed = "failed",
    }
}

words! {
    Reload {
        Ok = "ok",
        Failed = "failed",
    }
}

/// A reason of [`families::LOST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    Kernel(Loss),
    Daemon(DaemonLoss),
}

impl Word for Loss {
    const ALL: &'static [Self] = &Self::ALL;

    fn name(self) -> &'static str {
        Loss::name(self)
    }
}

#[derive(Debug, Default)]
pub struct Own {
    pub events: Tally,
    pub unknown_fields: Tally,
    pub resynchronisations: Tally,
    pub connections: Tallies<Carries>,
    pub connections_seen: Tallies<Carries>,
    pub other_requests: Tally,
    pub connections_held: Tally,
    pub calls_held: Tally,
    pub series_held: Tally,
    pub series_ceiling: Tally,
    pub series_expired: Tally,
    pub refused: Tallies<Refused>,
    pub attribution_misses: Tally,
    pub scrapes: Tally,
    pub log_suppressed: Tally,
    pub endpoint_refused: Tallies<EndpointRefused>,
    pub reloads: Tallies<Reload>,
    pub tls_files: Tallies<TlsFile>,
    lost_in_kernel: Tallies<Loss>,
    lost_in_daemon: Tallies<DaemonLoss>,
}

impl Own {
    pub fn lost(&self, reason: Lost) -> &Tally {
        match reason {
            Lost::Kernel(loss) => self.lost_in_kernel.of(loss),
            Lost::Daemon(loss) => self.lost_in_daemon.of(loss),
        }
    }

    /// Every number with its family and, where it has one, the value of its label. Numbers of one family come
    /// together.
    pub fn visit(&self, mut see: impl FnMut(&'static Family, Option<&'static str>, u64)) {
        // No `..`: a number that is not exported must break the build.
        let Self {
            events,
            unknown_fields,
            resynchronisations,
            connections,
            connections_seen,
            other_requests,
            connections_held,
            calls_held,
            series_held,
            series_ceiling,
            series_expired,
            refused,
            attribution_misses,
            scrapes,
            log_suppressed,
            endpoint_refused,
            reloads,
            tls_files,
            lost_in_kernel,
            lost_in_daemon,
        } = self;
        let single = [
            (&families::EVENTS, events),
            (&families::UNKNOWN_FIELDS, unknown_fields),
            (&families::RESYNCHRONISATIONS, resynchronisations),
            (&families::OTHER_REQUESTS, other_requests),
            (&families::CONNECTIONS_HELD, connections_held),
            (&families::CALLS_HELD, calls_held),
            (&families::SERIES_HELD, series_held),
            (&families::SERIES_CEILING, series_ceiling),
            (&families::SERIES_EXPIRED, series_expired),
            (&families::ATTRIBUTION_MISSES, attribution_misses),
            (&families::SCRAPES, scrapes),
            (&families::LOG_SUPPRESSED, log_suppressed),
        ];
        for (family, tally) in single {
            see(family, None, tally.get());
        }
        let mut each = |family, tallies: &mut dyn Iterator<Item = (&'static str, u64)>| {
            tallies.for_each(|(word, value)| see(family, Some(word), value));
        };
        each(
            &families::LOST,
            &mut lost_in_kernel.iter().chain(lost_in_daemon.iter()),
        );
        each(&families::CONNECTIONS, &mut connections.iter());
        each(&families::CONNECTIONS_SEEN, &mut connections_seen.iter());
        each(&families::SERIES_REFUSED, &mut refused.iter());
        each(&families::ENDPOINT_REFUSED, &mut endpoint_refused.iter());
        each(&families::WEB_CONFIG_RELOADS, &mut reloads.iter());
        each(&families::TLS_FILES, &mut tls_files.iter());
    }
}
