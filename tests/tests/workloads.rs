//! The judges judged: each client and each server, crossed, agree on every call of a mixed plan, with no observer
//! around. What they agree on can be taken for the truth.

use tests::namespace::{self, Faults, Pair};
use tests::prerequisite::or_skip;
use tests::process::Place;
use tests::workload::Language;
use tests::workload::comparison::differences;
use tests::workload::peer::ServerOptions;
use tests::workload::plan::{Kind, Step};

fn mixed() -> Vec<Step> {
    let step = Step::new;
    let (echo, get) = ("/truth.v1.Truth/Echo", "/truth.v1.Truth/Get");
    let (download, watch) = ("/truth.v1.Truth/Download", "/truth.v1.Inventory/Watch");
    let (upload, chat) = ("/truth.v1.Truth/Upload", "/truth.v1.Truth/Chat");
    let abandon = Step {
        sleep_ms: 60_000,
        concurrency: 10,
        expect: Some("*".into()),
        ..step(Kind::Unary, echo, 20)
    };
    let mut steps = vec![
        step(Kind::Unary, get, 20),
        Step {
            connections: 2,
            concurrency: 50,
            response_size: 100,
            request_size: 50,
            ..step(Kind::Unary, echo, 400)
        },
        Step {
            response_size: 8 << 20,
            request_size: 8 << 20,
            ..step(Kind::Unary, echo, 2)
        },
        Step {
            metadata_size: 30_000,
            metadata_unique: true,
            response_headers: 20_000,
            response_trailers: 30_000,
            ..step(Kind::Unary, echo, 20)
        },
        Step {
            churn: true,
            concurrency: 4,
            ..step(Kind::Unary, "/truth.v1.Inventory/Reserve", 20)
        },
        Step {
            concurrency: 5,
            response_count: 20,
            response_size: 1000,
            ..step(Kind::Server, download, 10)
        },
        Step {
            status: 9,
            response_count: 3,
            headers_first: true,
            ..step(Kind::Server, watch, 5)
        },
        Step {
            status: 9,
            response_count: 3,
            ..step(Kind::Server, watch, 5)
        },
        Step {
            concurrency: 5,
            request_count: 20,
            request_size: 1000,
            ..step(Kind::Client, upload, 10)
        },
        Step {
            status: 8,
            request_count: 3,
            ..step(Kind::Client, upload, 5)
        },
        Step {
            concurrency: 5,
            request_count: 20,
            response_count: 2,
            request_size: 9,
            ..step(Kind::Bidi, chat, 10)
        },
        Step {
            status: 5,
            request_count: 2,
            headers_first: true,
            ..step(Kind::Bidi, chat, 2)
        },
        Step {
            status: 5,
            request_count: 2,
            ..step(Kind::Bidi, chat, 2)
        },
        Step {
            deadline_ms: 50,
            ..abandon.clone()
        },
        Step {
            cancel_after_ms: 50,
            ..abandon.clone()
        },
        Step {
            cancel_after_first: true,
            response_count: 1,
            linger_ms: 60_000,
            sleep_ms: 0,
            kind: Kind::Server,
            method: watch.into(),
            expect: Some("CANCELLED".into()),
            ..abandon
        },
        Step {
            expect: Some("UNIMPLEMENTED".into()),
            ..step(Kind::Unary, "/truth.v1.Truth/Unheard", 3)
        },
        Step {
            expect: Some("UNIMPLEMENTED".into()),
            ..step(Kind::Bidi, "/no.such.Service/Unheard", 3)
        },
    ];
    steps.extend((1..17).map(|status| Step {
        status,
        message: "süß, 100 %\n".into(),
        headers_first: status % 2 == 0,
        ..step(Kind::Unary, "/truth.v1.Truth/Put", 2)
    }));
    steps
}

/// One server, and every client's plan against it.
fn check(test: &str, language: Language) {
    let Some(program) = or_skip(test, language.prepare()) else {
        return;
    };
    for other in Language::ALL {
        let Some(client) = or_skip(test, other.prepare()) else {
            return;
        };
        let mut server = program.server(&ServerOptions::default()).unwrap();
        let mut client = client.client(&server.address(), &Place::default()).unwrap();
        let made = client.run(mixed()).unwrap();
        client.quit().unwrap();
        let served = server.tally_after(made.ended()).unwrap();
        let found = differences(&made, &served);
        assert!(found.is_empty(), "{other} calls {language}: {found:#?}");
        assert!(
            made.unexpected.is_empty(),
            "{other} calls {language}: {:#?}",
            made.unexpected
        );
        assert_eq!(made.started(), made.ended());
        let last = server.stop().unwrap();
        assert_eq!(
            last.started(),
            served.started(),
            "{language} counts after its last call"
        );
        println!("{other} calls {language}: {} calls right", made.started());
    }
}

#[test]
fn workload_grpcio() {
    check("workload_grpcio", Language::Python);
}

#[test]
fn workload_grpcio_asyncio() {
    check("workload_grpcio_asyncio", Language::PythonAsyncio);
}

#[test]
fn workload_grpc_go() {
    check("workload_grpc_go", Language::Go);
}

#[test]
fn workload_tonic() {
    check("workload_tonic", Language::Rust);
}

/// Over IPv4 and IPv6, on a road that loses and delays packets: the programs still agree, and the road was bad.
#[test]
fn bad_road_between_namespaces() {
    let test = "bad_road_between_namespaces";
    let Some(program) = or_skip(test, Language::Rust.prepare()) else {
        return;
    };
    let Some(pair) = or_skip(test, Pair::new()) else {
        return;
    };
    let faults = Faults {
        lost_permille: 10,
        late_permille: 50,
    };
    let Some(()) = or_skip(test, pair.disturb(faults)) else {
        return;
    };
    for host in namespace::SERVER {
        let options = ServerOptions {
            host: host.into(),
            place: pair.server(),
            ..ServerOptions::default()
        };
        let mut server = program.server(&options).unwrap();
        let mut client = program.client(&server.address(), &pair.client()).unwrap();
        let sizes = Step {
            request_size: 5000,
            response_size: 50_000,
            concurrency: 10,
            ..Step::default()
        };
        let made = client.run([Step { count: 1000, ..sizes }]).unwrap();
        let served = server.tally_after(made.ended()).unwrap();
        assert!(made.unexpected.is_empty(), "{:#?}", made.unexpected);
        assert_eq!(differences(&made, &served), Vec::<String>::new());
    }
    let disturbed = pair.disturbed().unwrap();
    assert!(disturbed.lost > 0 && disturbed.late > 0, "{disturbed:?}");
    println!("{disturbed:?}");
}
