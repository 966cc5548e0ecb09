//! `/proc/PID/cgroup`: the cgroups of one process, in every hierarchy.

use super::path::Place;

/// One process's paths. Where all controllers are in one hierarchy the v1 paths are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    pub unified: Option<Box<str>>,
    pub cpuacct: Option<Box<str>>,
    pub memory: Option<Box<str>>,
    /// What all paths together say: the one that names a pod before one that names a container, before a unit.
    pub place: Place,
}

/// Lines read: there are 14 controllers at most, and named hierarchies.
const MAX_LINES: usize = 64;

impl Membership {
    pub fn parse(text: &str) -> Self {
        let mut membership = Self::default();
        for line in text.lines().take(MAX_LINES) {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            // A removed cgroup that still has a process.
            let path = path.strip_suffix(" (deleted)").unwrap_or(path);
            let place = Place::parse(path);
            if place.rank() > membership.place.rank() {
                membership.place = place;
            }
            if controllers.is_empty() {
                membership.unified = Some(path.into());
            }
            for controller in controllers.split(',') {
                match controller {
                    "cpuacct" => membership.cpuacct = Some(path.into()),
                    "memory" => membership.memory = Some(path.into()),
                    _ => {}
                }
            }
        }
        membership
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339cabcd";

    #[test]
    fn unified_host() {
        let membership = Membership::parse("0::/system.slice/nginx.service\n");
        assert_eq!(membership.unified.as_deref(), Some("/system.slice/nginx.service"));
        assert_eq!(membership.memory, None);
        assert_eq!(membership.place.unit.as_deref(), Some("nginx"));
    }

    #[test]
    fn hybrid_host_with_docker_in_version_1_only() {
        let text = format!(
            "12:memory:/docker/{ID}\n5:cpu,cpuacct:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/system.slice/docker.service\n"
        );
        let membership = Membership::parse(&text);
        assert_eq!(membership.place.container.as_deref(), Some(ID));
        assert_eq!(membership.place.unit, None, "not the runtime's own unit");
        assert_eq!(membership.cpuacct.as_deref(), Some(&*format!("/docker/{ID}")));
        assert_eq!(
            membership.unified.as_deref(),
            Some("/system.slice/docker.service")
        );
    }

    #[test]
    fn colons_and_deleted_paths() {
        let membership = Membership::parse("0::/system.slice/a:b.service (deleted)\nbroken\n");
        assert_eq!(membership.place.unit.as_deref(), Some("a:b"));
    }
}
