//! The grammar of cgroup paths: which pod, container and systemd unit a path belongs to. Pure: any text in, no
//! I/O, no panic.

use crate::attribution::container::{self, Part};
use crate::attribution::pod::PodUid;
use crate::attribution::unit;

/// What a cgroup path says. Empty for the root and for paths that name nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Outermost first. More than one only where a cluster runs in a pod of another (kind, k3s, vcluster): the
    /// API server of this node knows one of them.
    pub pods: Vec<PodUid>,
    /// Id of the container: the first one in the outermost pod, or the outermost without a pod.
    pub container: Option<Box<str>>,
    /// Service name of the innermost systemd unit outside of every container.
    pub unit: Option<Box<str>>,
    /// The front of the path, up to the cgroup of all of the pod, or unit, or container: what accounts for it.
    pub scope: Box<str>,
}

/// Pods within pods that are kept. Kubernetes in Kubernetes is 2; deeper names are made up by somebody inside.
const MAX_PODS: usize = 3;

impl Place {
    /// Order of preference of two views of one process (cgroup v1 hosts have a path for each controller).
    pub fn rank(&self) -> u8 {
        match self {
            Self { pods, .. } if !pods.is_empty() => 3,
            Self {
                container: Some(_), ..
            } => 2,
            Self { unit: Some(_), .. } => 1,
            _ => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rank() == 0
    }

    /// `..` at the front (a path seen from another cgroup namespace) is skipped: what is left still names the
    /// pod, the container or the unit.
    pub fn parse(path: &str) -> Self {
        let mut place = Self::default();
        let mut walk = Walk::default();
        let mut end = 0;
        for component in path.split('/') {
            end += component.len();
            if !matches!(component, "" | "." | "..") && walk.step(&mut place, component) {
                place.scope = path.get(..end).unwrap_or(path).into();
            }
            end += 1;
        }
        place
    }
}

/// Where in the path we are.
#[derive(Default)]
struct Walk<'a> {
    previous: [&'a str; 2],
    /// Below `user.slice` or in a user's own manager: names there are the user's to choose.
    user: bool,
    ecs: bool,
    contained: bool,
}

impl<'a> Walk<'a> {
    /// True where the path up to here is the place's scope.
    fn step(&mut self, place: &mut Place, component: &'a str) -> bool {
        let mut named = false;
        match component {
            "user.slice" => self.user = true,
            "ecs" => self.ecs = true,
            _ => named = self.name(place, component),
        }
        self.previous = [self.previous[1], component];
        named
    }

    fn name(&mut self, place: &mut Place, component: &'a str) -> bool {
        let mut named = false;
        // The cgroupfs driver's folders: at most one for the quality of service lies between.
        let below_kubepods = self.previous[1] == "kubepods"
            || self.previous[0] == "kubepods" && matches!(self.previous[1], "burstable" | "besteffort");
        // A user may name a cgroup of theirs like somebody's pod; the kubelet never puts pods there.
        let pod = PodUid::from_component(component, below_kubepods).filter(|_| !self.user);
        if let Some(pod) = pod {
            if place.pods.is_empty() {
                // What was found before is the node that the cluster runs in, as with kind.
                place.container = None;
                named = true;
            }
            if place.pods.len() < MAX_PODS {
                place.pods.push(pod);
            }
            self.contained = true;
        }
        let id = match container::from_component(component) {
            Some(Part::Payload(id) | Part::Monitor(id)) => Some(id),
            None if self.ecs => container::from_ecs_component(component),
            None => None,
        };
        if let Some(id) = id {
            if place.container.is_none() {
                place.container = Some(id.into());
                named |= place.pods.is_empty() && place.unit.is_none();
            }
            self.contained = true;
        }
        if !self.contained
            && let Some(name) = unit::service_name(component)
        {
            place.unit = Some(name.into());
            named = true;
        }
        named
    }
}

#[cfg(test)]
mod tests;
