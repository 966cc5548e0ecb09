//! Container ids as they stand in cgroup names, of every runtime. Names of containers are `container_name`'s.

/// What one component of a cgroup path says about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// The container with this id.
    Payload(&'a str),
    /// The runtime's own process beside the container (conmon): of the container, but not in it.
    Monitor(&'a str),
}

/// Prefixes of scopes (systemd driver) and folders (cgroupfs driver), monitors before what they are prefixes of.
/// `cri-containerd` containerd under Kubernetes, `crio` CRI-O, `docker` Docker and cri-dockerd, `libpod` Podman
/// (`libpod-payload` where the container shares its unit's cgroup), `nerdctl` containerd's own command line,
/// `buildah` and `containerd` as their names say.
const MONITORS: [&str; 2] = ["crio-conmon-", "libpod-conmon-"];
const PAYLOADS: [&str; 8] = [
    "cri-containerd-",
    "crio-",
    "docker-",
    "libpod-payload-",
    "libpod-",
    "nerdctl-",
    "buildah-",
    "containerd-",
];

pub fn from_component(component: &str) -> Option<Part<'_>> {
    if let Some((_, id)) = component.rsplit_once(":cri-containerd:") {
        return is_id(id).then_some(Part::Payload(id));
    }
    let name = component.strip_suffix(".scope").unwrap_or(component);
    for prefix in MONITORS {
        if let Some(id) = name.strip_prefix(prefix) {
            return is_id(id).then_some(Part::Monitor(id));
        }
    }
    for prefix in PAYLOADS {
        if let Some(id) = name.strip_prefix(prefix) {
            return is_id(id).then_some(Part::Payload(id));
        }
    }
    // The cgroupfs driver: the id alone.
    (component == name && is_id(name)).then_some(Part::Payload(name))
}

/// Amazon ECS before and since its long task ids: `/ecs/<task>/<container>`, where the container is
/// `<32 hex>-<decimal>`.
pub fn from_ecs_component(component: &str) -> Option<&str> {
    let (task, number) = component.split_once('-')?;
    let plausible = task.len() == 32
        && task.bytes().all(|b| b.is_ascii_hexdigit())
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit());
    plausible.then_some(component)
}

/// Every runtime above uses 256 random or hashed bits as 64 lower-case hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components() {
        let id = "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339cabcd";
        let payload = |component: String| {
            assert_eq!(from_component(&component), Some(Part::Payload(id)), "{component}");
        };
        payload(id.to_owned());
        payload(format!("docker-{id}.scope"));
        payload(format!("cri-containerd-{id}.scope"));
        payload(format!("crio-{id}.scope"));
        payload(format!("crio-{id}"));
        payload(format!("libpod-{id}.scope"));
        payload(format!("libpod-{id}"));
        payload(format!("libpod-payload-{id}"));
        payload(format!("nerdctl-{id}.scope"));
        payload(format!("kubepods-podx.slice:cri-containerd:{id}"));
        for monitor in [
            format!("crio-conmon-{id}.scope"),
            format!("libpod-conmon-{id}.scope"),
        ] {
            assert_eq!(from_component(&monitor), Some(Part::Monitor(id)), "{monitor}");
        }
        for none in [
            "",
            "docker-.scope",
            "docker-abc.scope",
            "system.slice",
            "docker",
            &id[1..],
            &id.to_uppercase(),
        ] {
            assert_eq!(from_component(none), None, "{none}");
        }
        assert_eq!(from_component(&format!("{id}.scope")), None);
    }
}
