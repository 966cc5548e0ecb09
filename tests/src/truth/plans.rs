//! The plans of the situations: what clients are asked to do. The seed varies sizes and numbers, not what is tested.

use crate::capture::random::Random;
use crate::workload::command::kind_of;
use crate::workload::mixture;
use crate::workload::plan::{Kind, Step};

pub const ECHO: &str = "/truth.v1.Truth/Echo";
const GET: &str = "/truth.v1.Truth/Get";
const PUT: &str = "/truth.v1.Truth/Put";
const RESERVE: &str = "/truth.v1.Inventory/Reserve";
const DOWNLOAD: &str = "/truth.v1.Truth/Download";
const WATCH: &str = "/truth.v1.Inventory/Watch";
const UPLOAD: &str = "/truth.v1.Truth/Upload";
const CHAT: &str = "/truth.v1.Truth/Chat";
/// Longer than any plan: these calls end by something else.
const FOR_EVER_MS: u32 = 100_000;

pub type Plan = fn(&mut Random) -> Vec<Step>;

fn step(kind: Kind, method: &str, count: u32) -> Step {
    Step::new(kind, method, count)
}

fn size(random: &mut Random, most: usize) -> usize {
    random.below(most)
}

fn response_size(random: &mut Random, most: usize) -> u32 {
    u32::try_from(random.below(most)).unwrap_or(0)
}

pub fn one_stream(random: &mut Random) -> Vec<Step> {
    unary(random, 1, 120)
}

pub fn ten_streams(random: &mut Random) -> Vec<Step> {
    unary(random, 10, 300)
}

pub fn hundred_streams(random: &mut Random) -> Vec<Step> {
    unary(random, 100, 1000)
}

fn unary(random: &mut Random, concurrency: u32, count: u32) -> Vec<Step> {
    let methods = [ECHO, GET, RESERVE];
    methods
        .map(|method| Step {
            concurrency,
            request_size: size(random, 200),
            response_size: response_size(random, 400),
            ..step(Kind::Unary, method, count / 3)
        })
        .into()
}

pub fn streaming(random: &mut Random) -> Vec<Step> {
    let mut sized = |kind, method: &str| Step {
        concurrency: 5,
        request_size: size(random, 2000),
        response_size: response_size(random, 2000),
        ..step(kind, method, 20)
    };
    let (download, upload, chat) = (
        sized(Kind::Server, DOWNLOAD),
        sized(Kind::Client, UPLOAD),
        sized(Kind::Bidi, CHAT),
    );
    vec![
        Step {
            response_count: 10,
            ..download.clone()
        },
        Step {
            response_count: 0,
            ..download
        },
        Step {
            request_count: 10,
            ..upload.clone()
        },
        Step {
            request_count: 3,
            status: 8,
            count: 5,
            ..upload
        },
        Step {
            request_count: 10,
            response_count: 2,
            linger_ms: 20,
            ..chat
        },
    ]
}

/// Every status, with the headers before it: the status is in real trailers.
pub fn statuses(_: &mut Random) -> Vec<Step> {
    let all = (0..17).map(|status| Step {
        status,
        concurrency: 2,
        headers_first: true,
        message: "süß, 100 %\n".into(),
        ..step(Kind::Server, WATCH, 4)
    });
    all.collect()
}

/// Every status but OK, at once.
pub fn trailers_only(_: &mut Random) -> Vec<Step> {
    let all = (1..17).map(|status| Step {
        status,
        concurrency: 2,
        message: "not that way".into(),
        ..step(Kind::Unary, PUT, 4)
    });
    all.collect()
}

/// Methods and services that no server has.
pub fn unimplemented(_: &mut Random) -> Vec<Step> {
    // Not a kind that writes while it is refused: grpcio's asyncio then calls its own failed write INTERNAL.
    let unheard = ["/truth.v1.Truth/Unheard", "/no.such.Service/Unheard"];
    unheard
        .map(|method| Step {
            expect: Some("*".into()),
            ..step(Kind::Unary, method, 10)
        })
        .into()
}

pub fn large_metadata(random: &mut Random) -> Vec<Step> {
    let large = Step {
        concurrency: 3,
        metadata_size: 20_000 + size(random, 15_000),
        response_headers: 20_000,
        response_trailers: 20_000 + response_size(random, 10_000),
        ..step(Kind::Unary, ECHO, 15)
    };
    vec![
        Step {
            metadata_unique: true,
            ..large.clone()
        },
        large,
        step(Kind::Unary, GET, 15),
    ]
}

pub fn sizes(random: &mut Random) -> Vec<Step> {
    let each = [
        0,
        1,
        100,
        16_384,
        65_535 + size(random, 3),
        1 << 20,
        (8 << 20) - 5 + size(random, 10),
    ];
    let both = each.map(|size| Step {
        request_size: size,
        response_size: u32::try_from(size).unwrap_or(0),
        ..step(Kind::Unary, ECHO, 3)
    });
    both.into()
}

/// No end but the deadline is possible: the server would answer long after it.
pub fn deadline(_: &mut Random) -> Vec<Step> {
    let late = Step {
        deadline_ms: 700,
        sleep_ms: FOR_EVER_MS,
        concurrency: 15,
        expect: Some("*".into()),
        ..step(Kind::Unary, ECHO, 30)
    };
    vec![
        Step {
            kind: Kind::Server,
            method: WATCH.into(),
            ..late.clone()
        },
        late,
        step(Kind::Unary, GET, 10),
    ]
}

pub fn cancel(_: &mut Random) -> Vec<Step> {
    let cancelled = Step {
        cancel_after_ms: 600,
        sleep_ms: FOR_EVER_MS,
        concurrency: 15,
        expect: Some("*".into()),
        ..step(Kind::Unary, ECHO, 30)
    };
    vec![cancelled, step(Kind::Unary, GET, 10)]
}

pub fn cancel_after_first(_: &mut Random) -> Vec<Step> {
    let first = Step {
        cancel_after_first: true,
        response_count: 1,
        linger_ms: FOR_EVER_MS,
        concurrency: 10,
        expect: Some("CANCELLED".into()),
        ..step(Kind::Server, WATCH, 20)
    };
    vec![
        Step {
            kind: Kind::Bidi,
            method: CHAT.into(),
            ..first.clone()
        },
        first,
        step(Kind::Unary, GET, 10),
    ]
}

/// Calls long enough for connections to reach their age under them.
pub fn aging(_: &mut Random) -> Vec<Step> {
    let slow = Step {
        // tonic's client reports a call that it had not sent yet as CANCELLED.
        expect: Some("*".into()),
        sleep_ms: 15,
        concurrency: 8,
        ..step(Kind::Unary, ECHO, 400)
    };
    vec![slow]
}

/// What h2load can ask for.
pub fn loaded(random: &mut Random) -> Vec<Step> {
    let step = |status| Step {
        status,
        connections: 2,
        concurrency: 20,
        request_size: size(random, 100),
        ..step(Kind::Unary, ECHO, 400)
    };
    [0, 5].map(step).into()
}

/// Calls that take as long as the server sleeps.
pub fn timed(_: &mut Random) -> Vec<Step> {
    let each = [(ECHO, 3, 200), (GET, 20, 100), (PUT, 80, 40), (RESERVE, 300, 16)];
    each.map(|(method, sleep_ms, count)| Step {
        sleep_ms,
        concurrency: 4,
        ..step(Kind::Unary, method, count)
    })
    .into()
}

/// Silence on the connection while a call lasts, so that pings go.
pub fn silence(_: &mut Random) -> Vec<Step> {
    let silent = Step {
        sleep_ms: 400,
        concurrency: 3,
        ..step(Kind::Unary, ECHO, 9)
    };
    vec![silent]
}

pub fn churn(_: &mut Random) -> Vec<Step> {
    let short = Step {
        churn: true,
        concurrency: 4,
        ..step(Kind::Unary, RESERVE, 60)
    };
    vec![short]
}

/// One connection of which the header tables turn over many times.
pub fn long_connection(random: &mut Random) -> Vec<Step> {
    let marked = Step {
        metadata_size: 40 + size(random, 200),
        metadata_unique: true,
        concurrency: 4,
        ..step(Kind::Unary, ECHO, 800)
    };
    vec![
        marked,
        Step {
            concurrency: 4,
            ..step(Kind::Unary, GET, 800)
        },
    ]
}

/// Many frames in each of the largest segments.
pub fn large_segments(random: &mut Random) -> Vec<Step> {
    let many = Step {
        concurrency: 60,
        request_size: 1000 + size(random, 1000),
        response_size: 1000 + response_size(random, 1000),
        ..step(Kind::Unary, ECHO, 600)
    };
    let wide = Step {
        concurrency: 8,
        request_size: 300_000,
        response_size: 300_000,
        ..step(Kind::Unary, GET, 60)
    };
    vec![many, wide]
}

/// Segments overtake and overlap at the hook when there are more runners than CPUs.
pub fn heavy(random: &mut Random) -> Vec<Step> {
    let large = Step {
        connections: 2,
        concurrency: 4,
        request_size: 250_000 + size(random, 20_000),
        response_size: 262_144,
        ..step(Kind::Unary, ECHO, 120)
    };
    vec![large]
}

/// A bit of everything that is over at once, for roads that are bad and for observers that come and go.
pub fn assorted(random: &mut Random) -> Vec<Step> {
    let mut steps = streaming(random);
    steps.extend(unary(random, 8, 150));
    steps.push(Step {
        status: 5,
        concurrency: 4,
        ..step(Kind::Unary, PUT, 20)
    });
    steps.push(Step {
        metadata_size: 20_000,
        metadata_unique: true,
        concurrency: 2,
        ..step(Kind::Unary, GET, 8)
    });
    steps
}

/// Small calls, as many as fit into some seconds.
pub fn flood(random: &mut Random) -> Vec<Step> {
    let echo = Step {
        concurrency: 20,
        request_size: size(random, 100),
        ..step(Kind::Unary, ECHO, 3000)
    };
    let refused = Step {
        status: 5,
        concurrency: 20,
        ..step(Kind::Unary, PUT, 500)
    };
    vec![echo, refused]
}

/// Calls that nobody will answer: they end with their connection.
pub fn hanging(_: &mut Random) -> Vec<Step> {
    let hanging = Step {
        sleep_ms: FOR_EVER_MS,
        concurrency: 12,
        expect: Some("*".into()),
        ..step(Kind::Unary, ECHO, 12)
    };
    vec![hanging]
}

/// The mixed plan but for methods that not every server tells its program about.
pub fn everything(_: &mut Random) -> Vec<Step> {
    let is_told = |step: &Step| kind_of(&step.method).is_some();
    mixture::mixed().into_iter().filter(is_told).collect()
}
