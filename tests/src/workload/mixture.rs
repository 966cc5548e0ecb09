//! A mixed plan: every kind of call, every way to end one, sizes from nothing to megabytes.

use super::Language;
use super::command::kind_of;
use super::plan::{Kind, Step};

pub const ECHO: &str = "/truth.v1.Truth/Echo";
const DOWNLOAD: &str = "/truth.v1.Truth/Download";
const WATCH: &str = "/truth.v1.Inventory/Watch";
const UPLOAD: &str = "/truth.v1.Truth/Upload";
const CHAT: &str = "/truth.v1.Truth/Chat";

/// All of it, in an order that leaves nothing abandoned under way at the end.
pub fn mixed() -> Vec<Step> {
    [unary(), streaming(), abandoned(), refused()].concat()
}

/// The same, as far as it can be asked of a server: grpclib answers methods that it does not have without a content type,
/// which some clients, its own too, call UNKNOWN.
pub fn mixed_for(server: Language) -> Vec<Step> {
    let is_sound = |step: &Step| server != Language::Grpclib || kind_of(&step.method).is_some();
    mixed().into_iter().filter(is_sound).collect()
}

fn unary() -> Vec<Step> {
    let echo = |count| Step::new(Kind::Unary, ECHO, count);
    vec![
        Step::new(Kind::Unary, "/truth.v1.Truth/Get", 20),
        Step {
            connections: 2,
            concurrency: 50,
            response_size: 100,
            request_size: 50,
            ..echo(400)
        },
        Step {
            response_size: 8 << 20,
            request_size: 8 << 20,
            ..echo(2)
        },
        Step {
            metadata_size: 30_000,
            metadata_unique: true,
            response_headers: 20_000,
            response_trailers: 30_000,
            ..echo(20)
        },
        Step {
            churn: true,
            concurrency: 4,
            ..Step::new(Kind::Unary, "/truth.v1.Inventory/Reserve", 20)
        },
    ]
}

fn streaming() -> Vec<Step> {
    let step = Step::new;
    let chat = Step {
        concurrency: 5,
        request_count: 20,
        request_size: 9,
        ..step(Kind::Bidi, CHAT, 10)
    };
    vec![
        Step {
            concurrency: 5,
            response_count: 20,
            response_size: 1000,
            ..step(Kind::Server, DOWNLOAD, 10)
        },
        Step {
            status: 9,
            response_count: 3,
            headers_first: true,
            ..step(Kind::Server, WATCH, 5)
        },
        Step {
            status: 9,
            response_count: 3,
            ..step(Kind::Server, WATCH, 5)
        },
        Step {
            concurrency: 5,
            request_count: 20,
            request_size: 1000,
            ..step(Kind::Client, UPLOAD, 10)
        },
        Step {
            status: 8,
            request_count: 3,
            ..step(Kind::Client, UPLOAD, 5)
        },
        Step {
            response_count: 2,
            ..chat.clone()
        },
        Step {
            status: 5,
            headers_first: true,
            ..chat.clone()
        },
        Step { status: 5, ..chat },
    ]
}

/// Calls that their client gives up.
fn abandoned() -> Vec<Step> {
    let echo = Step::new(Kind::Unary, ECHO, 20);
    let abandon = Step {
        sleep_ms: 60_000,
        concurrency: 10,
        expect: Some("*".into()),
        ..echo
    };
    let first = Step {
        cancel_after_first: true,
        response_count: 1,
        linger_ms: 60_000,
        concurrency: 10,
        ..Step::default()
    };
    let first = Step {
        expect: Some("CANCELLED".into()),
        count: 20,
        ..first
    };
    vec![
        Step {
            deadline_ms: 50,
            ..abandon.clone()
        },
        Step {
            cancel_after_ms: 50,
            ..abandon
        },
        Step {
            kind: Kind::Server,
            method: WATCH.into(),
            ..first.clone()
        },
        Step {
            kind: Kind::Bidi,
            method: CHAT.into(),
            ..first
        },
    ]
}

/// Every status but OK, with and without headers before it.
fn refused() -> Vec<Step> {
    // Not a kind that writes while it is refused: grpcio's asyncio then calls its own failed write INTERNAL.
    let unheard = [
        (Kind::Unary, "/truth.v1.Truth/Unheard"),
        (Kind::Server, "/no.such.Service/Unheard"),
    ];
    let unheard = unheard.map(|(kind, method)| Step::new(kind, method, 3));
    let unheard = unheard.map(|step| Step {
        expect: Some("UNIMPLEMENTED".into()),
        ..step
    });
    let all = (1..17).map(|status| Step {
        status,
        message: "süß, 100 %\n".into(),
        headers_first: status % 2 == 0,
        ..Step::new(Kind::Unary, "/truth.v1.Truth/Put", 2)
    });
    all.chain(unheard).collect()
}
