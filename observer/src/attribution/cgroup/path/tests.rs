//! Real cgroup paths of every runtime and driver, and arbitrary ones.

use proptest::prelude::*;

use super::*;

const UID: &str = "2b1b8b1c-7d1f-4e0e-9d3a-0f5f6a7b8c9d";
const OTHER: &str = "99999999-7d1f-4e0e-9d3a-0f5f6a7b8c9d";
const STATIC: &str = "8f4a0b7c1d2e3f405162738495a6b7c8";
const ID: &str = "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339cabcd";
const ID2: &str = "aaaaaaaa339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339cabcd";

/// `{u}` pod UID, `{s}` the same as in a slice, `{o}`/`{os}` another pod, `{i}`, `{j}` container ids, `{h}` static pod.
fn expand(pattern: &str) -> String {
    pattern
        .replace("{u}", UID)
        .replace("{s}", &UID.replace('-', "_"))
        .replace("{o}", OTHER)
        .replace("{os}", &OTHER.replace('-', "_"))
        .replace("{h}", STATIC)
        .replace("{i}", ID)
        .replace("{j}", ID2)
}

fn check(pattern: &str, pods: &[&str], container: Option<&str>, unit: Option<&str>) {
    let place = Place::parse(&expand(pattern));
    assert_eq!(
        place.pods.iter().map(PodUid::as_str).collect::<Vec<_>>(),
        pods,
        "{pattern}"
    );
    assert_eq!(place.container.as_deref(), container, "{pattern}");
    assert_eq!(place.unit.as_deref(), unit, "{pattern}");
}

#[test]
fn kubernetes_systemd_driver() {
    let pod = |pattern: &str| check(pattern, &[UID], Some(ID), None);
    pod("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{s}.slice/cri-containerd-{i}.scope");
    pod(
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{s}.slice/cri-containerd-{i}.scope",
    );
    pod("/kubepods.slice/kubepods-pod{s}.slice/cri-containerd-{i}.scope");
    pod("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{s}.slice/crio-{i}.scope");
    pod("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{s}.slice/crio-{i}.scope/container");
    pod("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{s}.slice/crio-conmon-{i}.scope");
    pod("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{s}.slice/docker-{i}.scope");
    check("/kubepods.slice/kubepods-pod{s}.slice", &[UID], None, None);
    check(
        "/kubepods.slice/kubepods-pod{h}.slice/cri-containerd-{i}.scope",
        &[STATIC],
        Some(ID),
        None,
    );
}

#[test]
fn kubernetes_cgroupfs_driver() {
    let pod = |pattern: &str| check(pattern, &[UID], Some(ID), None);
    pod("/kubepods/burstable/pod{u}/{i}");
    pod("/kubepods/besteffort/pod{u}/{i}");
    pod("/kubepods/pod{u}/{i}");
    pod("/kubepods/burstable/pod{u}/crio-{i}");
    pod("kubepods/burstable/pod{u}/{i}");
    check("/kubepods/burstable/pod{u}", &[UID], None, None);
    check("/kubepods/burstable/pod{h}/{i}", &[STATIC], Some(ID), None);
    check("/kubepods/burstable", &[], None, None);
}

#[test]
fn containerd_with_the_other_drivers_paths() {
    let path = "/system.slice/containerd.service/kubepods-burstable-pod{s}.slice:cri-containerd:{i}";
    check(path, &[UID], Some(ID), Some("containerd"));
    check(
        "/kubepods-burstable-pod{s}.slice:cri-containerd:{i}",
        &[UID],
        Some(ID),
        None,
    );
}

#[test]
fn clusters_in_containers() {
    // kind, k3s in Docker, minikube: the node is a container.
    let pod = |pattern: &str| check(pattern, &[UID], Some(ID), None);
    pod("/docker/{j}/kubelet/kubepods/burstable/pod{u}/{i}");
    pod("/docker/{j}/kubepods/besteffort/pod{u}/{i}");
    pod(
        "/system.slice/docker-{j}.scope/kubelet.slice/kubelet-kubepods.slice/\
         kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{s}.slice/cri-containerd-{i}.scope",
    );
    pod("/../../kubelet/kubepods/pod{u}/{i}");
    check(
        "/system.slice/k3s.service/kubepods/burstable/pod{u}/{i}",
        &[UID],
        Some(ID),
        Some("k3s"),
    );
    check(
        "/kubepods/burstable/pod{o}/{j}/kubepods/burstable/pod{u}/{i}",
        &[OTHER, UID],
        Some(ID2),
        None,
    );
}

#[test]
fn cgroups_inside_a_container() {
    check("/kubepods/pod{u}/{i}/init.scope", &[UID], Some(ID), None);
    check(
        "/kubepods/pod{u}/{i}/system.slice/nginx.service",
        &[UID],
        Some(ID),
        None,
    );
    check(
        "/system.slice/docker-{i}.scope/system.slice/nginx.service",
        &[],
        Some(ID),
        None,
    );
    check("/system.slice/docker-{i}.scope/docker/{j}", &[], Some(ID), None);
}

#[test]
fn containers_without_kubernetes() {
    let container = |pattern: &str| check(pattern, &[], Some(ID), None);
    container("/system.slice/docker-{i}.scope");
    container("/docker/{i}");
    container("/docker/{i}/init");
    container("/custom.slice/docker-{i}.scope");
    container("/system.slice/nerdctl-{i}.scope");
    container("/default/{i}");
    container("/machine.slice/libpod-{i}.scope/container");
    container("/machine.slice/libpod-{i}.scope");
    container("/machine.slice/libpod-conmon-{i}.scope");
    container("/machine.slice/machine-libpod_pod_{j}.slice/libpod-{i}.scope/container");
    container("/libpod_parent/libpod-{i}");
    container("/libpod_parent/libpod_pod_{j}/libpod-{i}");
    container("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{i}.scope/container");
    container("/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{i}.scope");
    container("/ecs/0f5f6a7b8c9d4e0e9d3a2b1b8b1c7d1f/{i}");
    check(
        "/ecs/0f5f6a7b8c9d4e0e9d3a2b1b8b1c7d1f/0f5f6a7b8c9d4e0e9d3a2b1b8b1c7d1f-1234567890",
        &[],
        Some("0f5f6a7b8c9d4e0e9d3a2b1b8b1c7d1f-1234567890"),
        None,
    );
    // Quadlet: the unit is the name that was given.
    check(
        "/system.slice/web.service/libpod-payload-{i}",
        &[],
        Some(ID),
        Some("web"),
    );
}

#[test]
fn systemd_units() {
    let unit = |path: &str, name: Option<&str>| check(path, &[], None, name);
    unit("/system.slice/nginx.service", Some("nginx"));
    unit(
        "/system.slice/system-postgresql.slice/postgresql@15-main.service",
        Some("postgresql@15-main"),
    );
    unit("/system.slice/trust\\x2danchor.service", Some("trust-anchor"));
    unit("/system.slice/nginx.service/workers/3", Some("nginx"));
    unit(
        "/user.slice/user-1000.slice/user@1000.service/app.slice/csca.service",
        Some("csca"),
    );
    unit("/user.slice/user-1000.slice/user@1000.service/init.scope", None);
    unit("/user.slice/user-1000.slice/session-3.scope", None);
    unit(
        "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope",
        Some("qemu-1-web"),
    );
    unit(
        "/machine.slice/systemd-nspawn@web.service/payload/system.slice",
        Some("systemd-nspawn@web"),
    );
    unit("/init.scope", None);
    unit("/", None);
    unit("", None);
}

#[test]
fn the_cgroup_that_accounts_for_all() {
    let check = |path: &str, scope: &str| {
        assert_eq!(Place::parse(&expand(path)).scope, expand(scope).into(), "{path}");
    };
    check(
        "/kubepods/burstable/pod{u}/{i}/inner",
        "/kubepods/burstable/pod{u}",
    );
    check("/docker/{j}/kubepods/pod{u}/{i}", "/docker/{j}/kubepods/pod{u}");
    check(
        "/system.slice/nginx.service/workers/3",
        "/system.slice/nginx.service",
    );
    check(
        "/system.slice/web.service/libpod-payload-{i}",
        "/system.slice/web.service",
    );
    check(
        "/machine.slice/libpod-{i}.scope/container",
        "/machine.slice/libpod-{i}.scope",
    );
    check("/../pod{u}/docker/{i}/x", "/../pod{u}/docker/{i}");
    check("/user.slice/user-1000.slice/session-3.scope", "");
    check("/", "");
}

#[test]
fn names_that_only_look_like_pods() {
    check("/pod{u}/x", &[], None, None);
    check("/kubepods/x/y/pod{u}", &[], None, None);
    check("/kubepods/other/pod{u}", &[], None, None);
    check(
        "/user.slice/user-1000.slice/user@1000.service/kubepods/pod{u}",
        &[],
        None,
        None,
    );
    check("/user.slice/kubepods-pod{s}.slice", &[], None, None);
    // A process in a pod cannot leave it by naming cgroups of its own.
    check(
        "/kubepods/pod{u}/{i}/kubepods.slice/kubepods-pod{os}.slice/cri-containerd-{j}.scope",
        &[UID, OTHER],
        Some(ID),
        None,
    );
}

fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "kubepods", "kubepods.slice", "burstable", "besteffort", "system.slice", "user.slice", "docker", "..",
            "pod{u}", "pod{o}", "kubepods-pod{s}.slice", "kubepods-burstable-pod{os}.slice", "{i}", "{j}",
            "docker-{i}.scope", "crio-conmon-{j}.scope", "nginx.service", "user@1000.service", "ecs", "\\x2d", "pod",
            "kubepods-pod{s}.slice:cri-containerd:{i}",
        ]).prop_map(expand),
        1 => "[^/]{0,70}",
    ]
}

proptest! {
    #[test]
    fn any_text(path in "\\PC*") {
        let _ = Place::parse(&path);
    }

    /// Every pod named is one whose UID stands in a component of the path; the first of them stands in the first
    /// component that names a pod at all.
    #[test]
    fn no_path_is_taken_for_another_pod(components in prop::collection::vec(component(), 0..12)) {
        let path = components.join("/");
        let place = Place::parse(&path);
        for pod in &place.pods {
            let slice = pod.as_str().replace('-', "_");
            prop_assert!(components.iter().any(|c| c.contains(pod.as_str()) || c.contains(&slice)), "{}", path);
        }
        // A longer path (a cgroup made inside) keeps pod and container.
        let inner = Place::parse(&format!("{path}/kubepods/pod{OTHER}/{ID2}"));
        if let Some(outermost) = place.pods.first() {
            prop_assert_eq!(inner.pods.first(), Some(outermost), "{}", path);
            if place.container.is_some() {
                prop_assert_eq!(inner.container, place.container, "{}", path);
            }
        }
    }
}
