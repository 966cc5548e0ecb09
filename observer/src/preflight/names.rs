//! Where names of pods and services would come from: asked once, as the daemon would ask all the time, and judged.
//! Nothing of this stops the observer.

use std::path::Path;

use super::Finding;
use crate::attribution::process::Processes;
use crate::config::{Config, Kubernetes};

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The configuration and the surroundings give no reason to.
    No,
    /// How many objects it told of.
    Answered(usize),
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub node: String,
    /// Whether names of pods were switched off.
    pub off: bool,
    pub pods: Asked,
    pub services: Asked,
    pub kubelet: Asked,
    /// Whether there are cgroups of pods here.
    pub kubepods: bool,
    pub sight: Sight,
}

/// What is seen of other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Everything,
    /// Not their descriptors, which takes `CAP_SYS_PTRACE`.
    WithoutSockets,
    /// Those of this container only.
    OwnContainer,
}

/// Where a kubelet puts pods, by driver, in each hierarchy.
const KUBEPODS: [&str; 6] = [
    "/sys/fs/cgroup/kubepods",
    "/sys/fs/cgroup/kubepods.slice",
    "/sys/fs/cgroup/unified/kubepods",
    "/sys/fs/cgroup/unified/kubepods.slice",
    "/sys/fs/cgroup/memory/kubepods",
    "/sys/fs/cgroup/memory/kubepods.slice",
];

impl Names {
    pub fn gather(config: &Config) -> Self {
        let [pods, services, kubelet] = ask(config);
        let processes = Processes::new("/proc");
        Self {
            node: config.node(),
            off: config.kubernetes == Kubernetes::Off,
            pods,
            services,
            kubelet,
            kubepods: KUBEPODS.iter().any(|path| Path::new(path).is_dir()),
            sight: if !processes.is_host_view() {
                Sight::OwnContainer
            } else if std::fs::read_link(processes.path(1, "ns/net")).is_ok() {
                // The kernel asks the same for a descriptor as for this, and of the first process all there is.
                Sight::Everything
            } else {
                Sight::WithoutSockets
            },
        }
    }
}

#[cfg(feature = "kubernetes")]
fn ask(config: &Config) -> [Asked; 3] {
    use crate::attribution::kubernetes::{connect, informer};

    const NOBODY: [Asked; 3] = [Asked::No, Asked::No, Asked::No];
    let Some(settings) = config.informer_settings(connect::in_cluster()) else {
        return NOBODY;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return NOBODY };
    runtime
        .block_on(informer::ask_once(&settings))
        .map(|answer| match answer {
            None => Asked::No,
            Some(Ok(count)) => Asked::Answered(count),
            Some(Err(failure)) => Asked::Failed(failure),
        })
}

#[cfg(not(feature = "kubernetes"))]
fn ask(_: &Config) -> [Asked; 3] {
    [Asked::No, Asked::No, Asked::No]
}

pub fn judge(names: &Names) -> Vec<Finding> {
    let mut findings = vec![pods(names)];
    if let Asked::Failed(failure) = &names.services {
        findings.push(Finding::degraded(
            "names of services",
            failure,
            "calls are named by labels and workloads of pods, and peers by address; grant get, list, watch on services",
        ));
    }
    if let (Asked::Failed(failure), Asked::Answered(_)) = (&names.kubelet, &names.pods) {
        findings.push(Finding::degraded(
            "kubelet",
            failure,
            "it cannot stand in for the API server; grant get on nodes/proxy, see --kubelet-verify, or leave --kubelet out",
        ));
    }
    findings.extend(processes(names));
    findings
}

fn pods(names: &Names) -> Finding {
    let check = "names of pods";
    match (&names.pods, &names.kubelet) {
        (Asked::Answered(0), _) | (Asked::No, Asked::Answered(0)) => Finding::degraded(
            check,
            format!("no pod on node `{}`", names.node),
            "if pods run here, this is not the node's name in Kubernetes; set --node-name (in a pod, from spec.nodeName)",
        ),
        (Asked::Answered(_), _) => {
            Finding::fine(check, format!("by the API server, of node `{}`", names.node))
        }
        (Asked::No, Asked::Answered(_)) => Finding::degraded(
            check,
            "by the kubelet",
            "it knows no Services; calls are named by labels and workloads, and peers by address",
        ),
        (Asked::Failed(failure), Asked::Answered(_)) => Finding::degraded(
            check,
            format!("by the kubelet; the API server: {failure}"),
            "Services are not known meanwhile; grant get, list, watch on pods and services",
        ),
        (Asked::Failed(failure), _) | (Asked::No, Asked::Failed(failure)) => Finding::degraded(
            check,
            failure,
            "pods are known by the UID in their cgroup alone; grant get, list, watch on pods and services to the \
             service account, or name the kubelet (--kubelet)",
        ),
        (Asked::No, Asked::No) if names.kubepods && !names.off => Finding::degraded(
            check,
            "pods run here, and nobody is asked for their names",
            "set --kubernetes api (with KUBECONFIG), or --kubernetes kubelet",
        ),
        (Asked::No, Asked::No) => Finding::fine(check, "not asked for"),
    }
}

fn processes(names: &Names) -> Option<Finding> {
    let (found, advice) = match names.sight {
        Sight::Everything => return None,
        Sight::WithoutSockets => (
            "seen, but not their sockets",
            "services outside of pods and containers have no name on connections that are older than the observer; add \
             CAP_SYS_PTRACE to have it",
        ),
        Sight::OwnContainer => (
            "not the host's",
            "database connections of pods are not counted, and services outside of pods have no names; set hostPID: true",
        ),
    };
    Some(Finding::degraded("processes", found, advice))
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    fn names() -> Names {
        Names {
            node: "node1".into(),
            off: false,
            pods: Asked::Answered(5),
            services: Asked::Answered(1),
            kubelet: Asked::No,
            kubepods: true,
            sight: Sight::Everything,
        }
    }

    #[test]
    fn every_degradation_is_said() {
        let check = |change: &dyn Fn(&mut Names), expected: &[&str]| {
            let mut names = names();
            change(&mut names);
            let findings = judge(&names);
            let bad: Vec<_> = findings
                .iter()
                .filter(|finding| finding.grade != Grade::Fine)
                .inspect(|finding| assert!(!finding.advice.is_empty()))
                .map(|finding| finding.check)
                .collect();
            assert_eq!(bad, expected, "{names:?}");
        };
        let failed = || Asked::Failed("forbidden".into());
        check(&|_| {}, &[]);
        check(&|names| names.pods = Asked::Answered(0), &["names of pods"]);
        check(&|names| names.pods = failed(), &["names of pods"]);
        check(&|names| names.services = failed(), &["names of services"]);
        check(&|names| names.kubelet = failed(), &["kubelet"]);
        check(
            &|names| (names.pods, names.kubelet) = (failed(), Asked::Answered(5)),
            &["names of pods"],
        );
        check(
            &|names| (names.pods, names.services) = (Asked::No, Asked::No),
            &["names of pods"],
        );
        check(
            &|names| (names.pods, names.services, names.off) = (Asked::No, Asked::No, true),
            &[],
        );
        check(&|names| names.sight = Sight::OwnContainer, &["processes"]);
        check(&|names| names.sight = Sight::WithoutSockets, &["processes"]);
    }
}
