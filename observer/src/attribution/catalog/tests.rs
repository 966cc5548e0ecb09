//! Pods and Services as they come, go and are looked up.

use super::*;

pub(crate) fn pod(uid: &str, name: &str, labels: &[(&str, &str)]) -> Pod {
    Pod {
        uid: PodUid::parse(uid).unwrap(),
        cgroup_uid: None,
        namespace: "marty".to_owned(),
        name: name.to_owned(),
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        workload: String::new(),
        containers: vec![Container {
            id: String::new(),
            name: "main".to_owned(),
            image: "registry/csca:1.4".to_owned(),
            ports: vec![("grpc".to_owned(), 8081)],
        }],
        addresses: vec!["10.244.0.7".parse().unwrap()],
        host_network: false,
        ready: true,
    }
}

pub(crate) fn service(name: &str, selector: &[(&str, &str)], ports: Vec<Target>) -> Service {
    Service {
        namespace: "marty".to_owned(),
        name: name.to_owned(),
        selector: selector
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ports,
        addresses: vec!["10.96.0.9".parse().unwrap()],
    }
}

pub(crate) const UID: &str = "2b1b8b1c-7d1f-4e0e-9d3a-0f5f6a7b8c9d";

#[test]
fn service_that_selects_the_pod_on_the_port() {
    let mut catalog = Catalog::default();
    let app = pod(UID, "csca-0", &[("app", "csca")]);
    let check = |catalog: &Catalog, port: Option<u16>, expected: Option<&str>| {
        assert_eq!(
            catalog
                .service_of(&app, port)
                .map(|service| service.name.clone())
                .as_deref(),
            expected
        );
    };
    check(&catalog, Some(8081), None);
    catalog.put_service(service(
        "csca",
        &[("app", "csca")],
        vec![Target::Name("grpc".to_owned())],
    ));
    check(&catalog, Some(8081), Some("csca"));
    check(&catalog, Some(8082), None);
    check(&catalog, None, Some("csca"));
    catalog.put_service(service(
        "csca-metrics",
        &[("app", "csca")],
        vec![Target::Number(9081)],
    ));
    check(&catalog, Some(8081), Some("csca"));
    check(&catalog, Some(9081), Some("csca-metrics"));
    check(&catalog, None, None);
    catalog.put_service(service(
        "csca-canary",
        &[("app", "csca")],
        vec![Target::Number(8081)],
    ));
    check(&catalog, Some(8081), None);
    catalog.remove_service("marty", "csca-canary");
    catalog.put_service(service("external", &[], vec![Target::Number(8081)]));
    catalog.put_service(service("other", &[("app", "other")], vec![Target::Number(8081)]));
    for namespace in ["elsewhere", "marty-2", "zoo"] {
        let mut stranger = service("csca", &[("app", "csca")], vec![Target::Number(8081)]);
        stranger.namespace = namespace.to_owned();
        catalog.put_service(stranger);
    }
    check(&catalog, Some(8081), Some("csca"));
}

#[test]
fn a_dead_pod_is_kept_for_a_while_but_has_no_address() {
    let mut catalog = Catalog::default();
    let start = Instant::now();
    let uid = PodUid::parse(UID).unwrap();
    let address = "10.244.0.7".parse().unwrap();
    catalog.put_pod(pod(UID, "csca-0", &[]), start);
    assert!(catalog.pod_at(address).is_some());
    catalog.remove_pod(&uid, start);
    assert!(catalog.pod(&uid).is_some());
    assert!(
        catalog.pod_at(address).is_none(),
        "the address may be another pod's by now"
    );
    assert_eq!(catalog.living().count(), 0);
    catalog.retain_pods(&[], start + KEEP_GONE);
    assert!(catalog.pod(&uid).is_none());
}

#[test]
fn static_pod_by_the_hash_in_its_cgroup() {
    let mut catalog = Catalog::default();
    let hash = PodUid::parse("8f4a0b7c1d2e3f405162738495a6b7c8").unwrap();
    let mut mirror = pod(UID, "etcd-node1", &[]);
    mirror.cgroup_uid = Some(hash.clone());
    catalog.put_pod(mirror, Instant::now());
    assert_eq!(catalog.pod(&hash).unwrap().name, "etcd-node1");
    catalog.remove_pod(&PodUid::parse(UID).unwrap(), Instant::now());
    assert_eq!(catalog.living().count(), 0);
}

#[test]
fn a_list_replaces_what_was_known() {
    let mut catalog = Catalog::default();
    let now = Instant::now();
    catalog.put_pod(pod(UID, "old", &[]), now);
    catalog.put_service(service("old", &[("a", "b")], vec![]));
    catalog.retain_pods(&[], now);
    catalog.retain_services(&HashSet::new());
    assert_eq!(catalog.living().count(), 0);
    assert!(catalog.service_at("10.96.0.9".parse().unwrap()).is_none());
}
