//! The whole of attribution against trees of files and, where it says so, against this machine.

mod live;
pub(super) mod machine;
pub(crate) mod program;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::catalog::tests::{UID, pod, service};
use super::catalog::{Coverage, Target};
use super::*;
use machine::{Machine, answer, rule, socket, wait};

const ID: &str = "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339cabcd";

#[test]
fn unit_and_container() {
    let machine = Machine::new();
    let unit = machine.cgroup("/system.slice/csca.service");
    machine.check(&socket(unit, 10, "thread-1", Role::Passive), "csca", Source::Unit);
    let container = machine.cgroup(&format!("/system.slice/docker-{ID}.scope"));
    machine.check(
        &socket(container, 10, "x", Role::Passive),
        &ID[..12],
        Source::Container,
    );
    let folder = machine.folder.path().join("docker").join(ID);
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join("config.v2.json"),
        r#"{"Name":"/signer","Config":{"Image":"signer:3"}}"#,
    )
    .unwrap();
    machine.check(
        &socket(container, 10, "x", Role::Passive),
        "signer",
        Source::Container,
    );
}

#[test]
fn process_name_where_all_share_a_cgroup() {
    let machine = Machine::new();
    let root = machine.cgroup("/");
    machine.process(10, "csca", 1, "0::/\n");
    machine.check(
        &socket(root, 10, "grpc-worker-3", Role::Passive),
        "csca",
        Source::Process,
    );
    machine.check(
        &socket(0, 10, "grpc-worker-3", Role::Active),
        "csca",
        Source::Process,
    );
}

#[test]
fn a_client_that_has_ended() {
    let machine = Machine::new();
    let root = machine.cgroup("/");
    machine.check(
        &socket(root, 11, "grpcurl", Role::Active),
        "grpcurl",
        Source::Command,
    );
    machine.check(&socket(root, 0, "", Role::Active), "_unknown", Source::Unknown);
}

#[test]
fn workers_of_a_forking_server() {
    let machine = Machine::new();
    let root = machine.cgroup("/");
    machine.process(20, "master", 1, "0::/\n");
    machine.process(21, "worker", 20, "0::/\n");
    fs::copy(
        machine.settings.proc.join("20/auxv"),
        machine.settings.proc.join("21/auxv"),
    )
    .unwrap();
    machine.check(
        &socket(root, 21, "worker", Role::Active),
        "master",
        Source::Process,
    );
    // A program of its own, though started by the same parent.
    machine.process(22, "executed", 20, "0::/\n");
    machine.check(
        &socket(root, 22, "executed", Role::Active),
        "executed",
        Source::Process,
    );
}

#[test]
fn a_container_that_only_version_1_tells_apart() {
    let machine = Machine::hybrid();
    let docker = machine.cgroup("/unified/system.slice/docker.service");
    let text =
        format!("4:memory:/docker/{ID}\n2:cpu,cpuacct:/docker/{ID}\n0::/system.slice/docker.service\n");
    machine.process(30, "csca", 1, &text);
    machine.check(
        &socket(docker, 30, "csca", Role::Passive),
        &ID[..12],
        Source::Container,
    );
    let roster = machine.roster.lock().unwrap();
    let account = roster.members().next().unwrap().0;
    let path: Box<str> = format!("/docker/{ID}").into();
    let expected = roster::Account::Cgroup {
        unified: "/system.slice/docker.service".into(),
        cpuacct: path.clone(),
        memory: path,
    };
    assert_eq!(account, &expected);
}

#[test]
fn a_client_in_a_container_of_version_1_that_has_ended() {
    let machine = Machine::hybrid();
    let docker = machine.cgroup("/unified/system.slice/docker.service");
    machine.check(
        &socket(docker, 31, "grpcurl", Role::Active),
        "grpcurl",
        Source::Command,
    );
    let unit = machine.cgroup("/unified/system.slice/csca.service");
    machine.check(&socket(unit, 31, "grpcurl", Role::Active), "csca", Source::Unit);
}

#[test]
fn configured_names_come_first() {
    let mut machine = Machine::new();
    let unit = machine.cgroup("/system.slice/csca.service");
    machine.process(40, "python3", 1, "0::/system.slice/csca.service\n");
    machine.settings.rules = vec![rule("by-port", 8081)];
    machine.check(
        &socket(unit, 40, "python3", Role::Passive),
        "by-port",
        Source::Configuration,
    );
    machine.check(&socket(unit, 40, "python3", Role::Active), "csca", Source::Unit);
    let by_arguments = ServiceRule {
        name: "by-arguments".to_owned(),
        command_line: Some("*python3 --serve".to_owned()),
        ..ServiceRule::default()
    };
    machine.settings.rules = vec![by_arguments];
    machine.check(
        &socket(unit, 40, "python3", Role::Active),
        "by-arguments",
        Source::Configuration,
    );
}

#[test]
fn a_known_cgroup_is_answered_at_once_and_renewed() {
    let machine = Machine::new();
    let unit = machine.cgroup("/system.slice/csca.service");
    let mut attribution = machine.start();
    let socket = socket(unit, 10, "csca", Role::Passive);
    let first = wait(&mut attribution, &socket);
    let later = Instant::now();
    assert_eq!(
        attribution.resolve(8, &socket, later),
        Resolution::Known(first.clone())
    );
    let stale = later + Duration::from_mins(1);
    assert_eq!(attribution.resolve(9, &socket, stale), Resolution::Known(first));
    assert_eq!(
        attribution.counts,
        Counts {
            cached: 2,
            asked: 1,
            refused: 0,
            missed: 0
        }
    );
}

#[test]
fn a_call_that_ends_before_its_pod_is_known() {
    let machine = Machine::new();
    let cgroup = machine.cgroup(&format!("/kubepods/burstable/pod{UID}/{ID}"));
    machine.catalog.write().unwrap().set_coverage(Coverage::Complete);
    let mut attribution = machine.start();
    let socket = socket(cgroup, 10, "csca", Role::Passive);
    assert_eq!(
        attribution.resolve(7, &socket, Instant::now()),
        Resolution::Pending
    );
    assert_eq!(
        attribution.resolve(7, &socket, Instant::now()),
        Resolution::Pending
    );
    {
        let mut catalog = machine.catalog.write().unwrap();
        catalog.put_pod(pod(UID, "csca-0", &[("app", "csca")]), Instant::now());
        catalog.put_service(service(
            "csca-service",
            &[("app", "csca")],
            vec![Target::Number(8081)],
        ));
    }
    let identity = wait(&mut attribution, &socket).identity;
    assert_eq!(
        (&*identity.service, &*identity.pod, &*identity.namespace),
        ("csca-service", "csca-0", "marty")
    );
}

/// It has a name, if not a good one: the question must not wait like one of a connection that has none.
#[test]
fn a_better_name_is_not_waited_for() {
    let machine = Machine::new();
    let cgroup = machine.cgroup(&format!("/kubepods/burstable/pod{UID}/{ID}"));
    machine.catalog.write().unwrap().set_coverage(Coverage::Complete);
    let mut attribution = machine.start();
    let socket = socket(cgroup, 10, "csca", Role::Passive);
    // From the future, so that it waits until the pod is listed.
    let later = Instant::now() + Duration::from_hours(1);
    assert_eq!(attribution.resolve(7, &socket, later), Resolution::Pending);
    let version = attribution.version();
    let renew = |attribution: &mut Attribution| match attribution.renew(8, &socket, Instant::now(), false) {
        Resolution::Pending => answer(attribution),
        known => panic!("{known:?}"),
    };
    let (connection, renewed) = renew(&mut attribution);
    assert_eq!((connection, renewed.identity.source), (8, Source::PodUid));
    assert_eq!(attribution.version(), version);
    machine
        .catalog
        .write()
        .unwrap()
        .put_pod(pod(UID, "csca-0", &[]), Instant::now());
    assert_ne!(attribution.version(), version);
    assert_eq!(&*answer(&mut attribution).1.identity.service, "csca-0");
}

#[test]
fn a_pod_without_any_list_of_pods() {
    let machine = Machine::new();
    let cgroup = machine.cgroup(&format!("/kubepods/burstable/pod{UID}/{ID}"));
    machine.check(&socket(cgroup, 10, "csca", Role::Passive), UID, Source::PodUid);
}

#[test]
fn a_restarted_container_of_the_same_pod() {
    let machine = Machine::new();
    machine
        .catalog
        .write()
        .unwrap()
        .put_pod(pod(UID, "csca-0", &[]), Instant::now());
    let first = machine.cgroup(&format!("/kubepods/burstable/pod{UID}/{ID}"));
    let second = machine.cgroup(&format!("/kubepods/burstable/pod{UID}/{}", ID.replace('4', "5")));
    assert_ne!(first, second);
    machine.check(&socket(first, 10, "csca", Role::Passive), "csca-0", Source::Pod);
    machine.check(&socket(second, 11, "csca", Role::Passive), "csca-0", Source::Pod);
}

#[test]
fn peers() {
    let machine = Machine::new();
    {
        let mut catalog = machine.catalog.write().unwrap();
        catalog.put_service(service(
            "trust-anchor",
            &[("app", "t")],
            vec![Target::Number(9080)],
        ));
        let mut callee = pod(UID, "signer-0", &[("app", "signer")]);
        callee.addresses = vec!["10.244.0.8".parse().unwrap()];
        catalog.put_pod(callee, Instant::now());
    }
    let unit = machine.cgroup("/system.slice/csca.service");
    let check = |address: [u8; 4], expected: &str| {
        let mut socket = socket(unit, 0, "", Role::Active);
        socket.remote = socket::Address::new(address, 0).ip;
        assert_eq!(&*machine.ask(&socket).peer, expected);
    };
    check([10, 96, 0, 9], "trust-anchor");
    check([10, 244, 0, 8], "signer");
    check([192, 0, 2, 2], "192.0.2.2");
    let accepted = socket(unit, 0, "", Role::Passive);
    assert_eq!(&*machine.ask(&accepted).peer, "");
}

/// Both ends on one machine, and the caller's is asked for first.
#[test]
fn a_caller_waits_for_the_other_end() {
    let machine = Machine::new();
    let loopback = socket::Address::new([127, 0, 0, 1], 0).ip;
    let ends = |unit: &str, role| Socket {
        local: loopback,
        remote: loopback,
        ..socket(
            machine.cgroup(&format!("/system.slice/{unit}.service")),
            0,
            "",
            role,
        )
    };
    let caller = ends("csca", Role::Active);
    let callee = Socket {
        local_port: caller.remote_port,
        remote_port: caller.local_port,
        ..ends("signer", Role::Passive)
    };
    let mut attribution = machine.start();
    let now = Instant::now();
    assert_eq!(attribution.resolve(1, &caller, now), Resolution::Pending);
    assert_eq!(attribution.resolve(2, &callee, now), Resolution::Pending);
    let mut peers = std::collections::BTreeMap::new();
    let start = Instant::now();
    while peers.len() < 2 && start.elapsed() < Duration::from_mins(1) {
        let answers = attribution.answers(now);
        peers.extend(
            answers
                .into_iter()
                .map(|(connection, found)| (connection, found.peer)),
        );
        thread::yield_now();
    }
    let peers: Vec<(u64, &str)> = peers
        .iter()
        .map(|(connection, peer)| (*connection, &**peer))
        .collect();
    assert_eq!(peers, [(1, "signer"), (2, "")]);

    // Nobody of ours accepts this one; it goes by the address after a moment.
    let elsewhere = Socket {
        remote_port: 7,
        ..caller
    };
    assert_eq!(attribution.resolve(3, &elsewhere, now), Resolution::Pending);
    while attribution.late.is_empty() && start.elapsed() < Duration::from_mins(1) {
        assert!(attribution.answers(now).is_empty());
        thread::yield_now();
    }
    let found = attribution.answers(now + OTHER_END).pop().unwrap();
    assert_eq!((found.0, &*found.1.peer), (3, "127.0.0.1"));
}

#[test]
fn a_flood_of_processes_is_refused_not_held() {
    let machine = Machine::new();
    let root = machine.cgroup("/");
    let mut attribution = machine.start();
    let now = Instant::now();
    let total = 20_000_u32;
    let mut known = 0;
    for process in 2..total + 2 {
        let socket = socket(root, process, "client", Role::Passive);
        known += u32::from(attribution.resolve(u64::from(process), &socket, now) != Resolution::Pending);
    }
    let counts = attribution.counts;
    assert_eq!(u64::from(known), counts.refused + counts.cached);
    assert_eq!(counts.asked + counts.refused + counts.cached, u64::from(total));
    assert!(counts.asked <= MAX_PENDING as u64);
    let start = Instant::now();
    let mut answered = 0;
    while answered < counts.asked && start.elapsed() < Duration::from_mins(1) {
        answered += attribution.answers(now).len() as u64;
        thread::yield_now();
    }
    assert_eq!(answered, counts.asked);
}
