//! The parts of Kubernetes' objects that attribution needs, and what they become in the catalog. Everything else in
//! them (environment, volumes, conditions by the dozen) is skipped while parsing and never held.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::ClusterResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::attribution::catalog;
use crate::attribution::pod::PodUid;

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Pod {
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    host_network: bool,
    containers: Vec<ContainerSpec>,
    init_containers: Vec<ContainerSpec>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerSpec {
    name: String,
    image: String,
    ports: Vec<ContainerPort>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerPort {
    name: String,
    container_port: u16,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    conditions: Vec<Condition>,
    #[serde(rename = "podIPs")]
    pod_ips: Vec<PodIp>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodIp {
    ip: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    id: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Service {
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: ServiceSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceSpec {
    selector: BTreeMap<String, String>,
    ports: Vec<ServicePort>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Vec<String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServicePort {
    port: u16,
    target_port: Option<TargetPort>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum TargetPort {
    Number(u16),
    Name(String),
}

/// The kubelet's answer.
#[derive(Debug, Default, Deserialize)]
pub struct PodList {
    #[serde(default)]
    pub items: Vec<Pod>,
}

macro_rules! core_resource {
    ($kind:ident, $plural:literal) => {
        impl kube::Resource for $kind {
            type DynamicType = ();
            type Scope = ClusterResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                stringify!($kind).into()
            }
            fn group((): &()) -> Cow<'_, str> {
                "".into()
            }
            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }
            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
core_resource!(Pod, "pods");
core_resource!(Service, "services");

impl Pod {
    pub fn uid(&self) -> Option<PodUid> {
        PodUid::parse(self.metadata.uid.as_deref()?)
    }

    /// All its containers have ended for good; its address may already be another's.
    pub fn is_over(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    pub fn into_entry(self) -> Option<catalog::Pod> {
        let uid = self.uid()?;
        let Self {
            metadata,
            spec,
            status,
        } = self;
        let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).cloned();
        let labels = metadata.labels.clone().unwrap_or_default();
        let ready = status
            .conditions
            .iter()
            .any(|condition| condition.kind == "Ready" && condition.status == "True");
        let addresses = status
            .pod_ips
            .iter()
            .filter_map(|address| address.ip.parse().ok())
            .collect();
        let workload = workload(&metadata, &labels);
        let ids: Vec<ContainerStatus> = [
            status.container_statuses,
            status.init_container_statuses,
            status.ephemeral_container_statuses,
        ]
        .concat();
        let containers = spec.containers.into_iter().chain(spec.init_containers);
        Some(catalog::Pod {
            cgroup_uid: annotation("kubernetes.io/config.hash")
                .and_then(|hash| PodUid::parse(&hash))
                .filter(|hash| *hash != uid),
            uid,
            namespace: metadata.namespace.unwrap_or_default(),
            name: metadata.name.unwrap_or_default(),
            labels,
            workload,
            containers: containers.map(|container| container.into_entry(&ids)).collect(),
            addresses,
            host_network: spec.host_network,
            ready,
        })
    }
}

impl ContainerSpec {
    fn into_entry(self, statuses: &[ContainerStatus]) -> catalog::Container {
        let Self { name, image, ports } = self;
        let status = statuses.iter().find(|status| status.name == name);
        // `containerd://<id>`
        let id = status
            .and_then(|status| status.id.split_once("://"))
            .map_or("", |(_, id)| id);
        let ports = ports
            .into_iter()
            .map(|port| (port.name, port.container_port))
            .collect();
        catalog::Container {
            id: id.to_owned(),
            name,
            image,
            ports,
        }
    }
}

/// The workload by the pod's owner, without asking for the owner itself: a Deployment's `ReplicaSet` is called after
/// it and the hash that is also a label of the pod; a `CronJob`'s Job after it and the minute it was due.
fn workload(metadata: &ObjectMeta, labels: &BTreeMap<String, String>) -> String {
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let Some(owner) = owners
        .iter()
        .find(|owner| owner.controller == Some(true))
        .or(owners.first())
    else {
        return String::new();
    };
    let name = owner.name.as_str();
    let parent = match owner.kind.as_str() {
        "ReplicaSet" => labels
            .get("pod-template-hash")
            .and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-')),
        "Job" => name
            .rsplit_once('-')
            .filter(|(_, due)| is_due_time(due))
            .map(|(parent, _)| parent),
        // A static pod's mirror belongs to its node.
        "Node" => Some(""),
        _ => None,
    };
    parent.unwrap_or(name).to_owned()
}

/// Minutes since 1970 (8 digits since 1989), before Kubernetes 1.21 seconds.
fn is_due_time(text: &str) -> bool {
    (8..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Service {
    pub fn key(&self) -> (String, String) {
        let ObjectMeta { namespace, name, .. } = &self.metadata;
        (
            namespace.clone().unwrap_or_default(),
            name.clone().unwrap_or_default(),
        )
    }

    pub fn into_entry(self) -> catalog::Service {
        let (namespace, name) = self.key();
        let ServiceSpec {
            selector,
            ports,
            cluster_ips,
            cluster_ip,
        } = self.spec;
        let addresses = cluster_ips.into_iter().chain([cluster_ip]);
        let mut addresses: Vec<_> = addresses.filter_map(|text| text.parse().ok()).collect();
        addresses.dedup();
        let ports = ports
            .into_iter()
            .map(|ServicePort { port, target_port }| match target_port {
                Some(TargetPort::Name(name)) => catalog::Target::Name(name),
                Some(TargetPort::Number(number)) if number != 0 => catalog::Target::Number(number),
                _ => catalog::Target::Number(port),
            });
        catalog::Service {
            namespace,
            name,
            selector,
            ports: ports.collect(),
            addresses,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(value: serde_json::Value) -> catalog::Pod {
        serde_json::from_value::<Pod>(value)
            .unwrap()
            .into_entry()
            .unwrap()
    }

    const UID: &str = "2b1b8b1c-7d1f-4e0e-9d3a-0f5f6a7b8c9d";

    #[test]
    fn a_pod_as_the_api_server_sends_it() {
        let pod = pod(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "csca-7d9c5b8f6d-x2x4p", "namespace": "marty", "uid": UID, "resourceVersion": "12",
                "labels": {"app": "csca", "pod-template-hash": "7d9c5b8f6d"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "csca-7d9c5b8f6d",
                    "uid": "x", "controller": true, "blockOwnerDeletion": true}]
            },
            "spec": {
                "nodeName": "node1", "containers": [{"name": "main", "image": "r/csca:1.4", "env": [{"name": "A"}],
                    "ports": [{"name": "grpc", "containerPort": 8081, "protocol": "TCP"}, {"containerPort": 9081}]}],
                "initContainers": [{"name": "setup", "image": "r/setup:1"}]
            },
            "status": {
                "phase": "Running", "podIP": "10.244.0.7", "podIPs": [{"ip": "10.244.0.7"}, {"ip": "fd00::7"}],
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "main", "containerID": "containerd://abcd", "ready": true}]
            }
        }));
        assert_eq!(
            (pod.name.as_str(), pod.namespace.as_str()),
            ("csca-7d9c5b8f6d-x2x4p", "marty")
        );
        assert_eq!(pod.workload, "csca");
        assert!(pod.ready && !pod.host_network);
        assert_eq!(pod.addresses.len(), 2);
        assert_eq!(pod.containers.len(), 2);
        let ports = vec![("grpc".to_owned(), 8081), (String::new(), 9081)];
        let main = catalog::Container {
            id: "abcd".into(),
            name: "main".into(),
            image: "r/csca:1.4".into(),
            ports,
        };
        assert_eq!(pod.containers[0], main);
    }

    #[test]
    fn workloads() {
        let check = |kind: &str, name: &str, expected: &str| {
            let pod = pod(
                json!({"metadata": {"name": "p", "uid": UID, "labels": {"pod-template-hash": "7d9c"},
                "ownerReferences": [{"apiVersion": "v1", "kind": kind, "name": name, "uid": "x", "controller": true}]}}),
            );
            assert_eq!(pod.workload, expected);
        };
        check("ReplicaSet", "csca-7d9c", "csca");
        check("ReplicaSet", "lonely", "lonely");
        check("StatefulSet", "pkd", "pkd");
        check("DaemonSet", "agent", "agent");
        check("Job", "sync-28391823", "sync");
        check("Job", "sync-once", "sync-once");
        check("Node", "node1", "");
    }

    #[test]
    fn a_static_pod() {
        let pod = pod(json!({"metadata": {"name": "etcd-node1", "uid": UID,
            "annotations": {"kubernetes.io/config.hash": "8f4a0b7c1d2e3f405162738495a6b7c8"}}}));
        assert_eq!(
            pod.cgroup_uid.unwrap().as_str(),
            "8f4a0b7c1d2e3f405162738495a6b7c8"
        );
    }

    #[test]
    fn services() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "csca", "namespace": "marty"},
            "spec": {"selector": {"app": "csca"}, "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00::9"],
                "ports": [{"port": 80, "targetPort": "grpc"}, {"port": 81, "targetPort": 8082}, {"port": 82}]}
        }))
        .unwrap();
        let service = service.into_entry();
        let named = catalog::Target::Name("grpc".to_owned());
        assert_eq!(
            service.ports,
            [named, catalog::Target::Number(8082), catalog::Target::Number(82)]
        );
        assert!(service.addresses.contains(&"fd00::9".parse().unwrap()));
        let headless: Service =
            serde_json::from_value(json!({"metadata": {"name": "h"}, "spec": {"clusterIP": "None"}}))
                .unwrap();
        assert!(headless.into_entry().addresses.is_empty());
    }
}
