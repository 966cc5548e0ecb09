//! The objects of the proof: what an operator would write.

use serde_json::{Value, json};

use super::cluster::{NAMESPACE, OBSERVER};

pub const DAEMON_IMAGE: &str = "localhost/marty-observer:proof";
/// The tags become the versions that are exported.
pub const TONIC_IMAGE: &str = "localhost/tonic-peer:1.4";
pub const GO_IMAGE: &str = "localhost/go-peer:2.0";
pub const REDIS_IMAGE: &str = "localhost/redis:7";

pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// The observer with the least that it needs: three capabilities, a read-only root, `get`, `list` and `watch` on two
/// kinds; the node's processes and network for the connections to databases.
pub fn observer(cgroup: &str) -> Vec<Value> {
    let meta = json!({"name": "marty-observer", "namespace": OBSERVER});
    let labels = json!({"app.kubernetes.io/name": "marty-observer"});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "marty-observer"},
            "rules": [{"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list", "watch"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "marty-observer"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "marty-observer"},
            "subjects": [{"kind": "ServiceAccount", "name": "marty-observer", "namespace": OBSERVER}]}),
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "serviceAccountName": "marty-observer", "hostPID": true, "hostNetwork": true,
                "containers": [{
                    "name": "observer", "image": DAEMON_IMAGE, "imagePullPolicy": "Never",
                    "args": ["run", "--log-format", "json", "--cgroup-path", cgroup],
                    "env": [{"name": "MARTY_OBSERVER_NODE_NAME",
                        "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                    "readinessProbe": {"httpGet": {"path": "/health/ready", "port": 9464}, "periodSeconds": 1},
                    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"], "add": ["BPF", "NET_ADMIN", "PERFMON"]}},
                    "volumeMounts": [{"name": "cgroup", "mountPath": "/sys/fs/cgroup", "readOnly": true}]}],
                "volumes": [{"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup"}}]}}}}),
    ]
}

/// What asking the kubelet takes on top.
pub fn kubelet_access() -> Vec<Value> {
    vec![
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "marty-observer-kubelet"},
            "rules": [{"apiGroups": [""], "resources": ["nodes/proxy"], "verbs": ["get"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "marty-observer-kubelet"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                "name": "marty-observer-kubelet"},
            "subjects": [{"kind": "ServiceAccount", "name": "marty-observer", "namespace": OBSERVER}]}),
    ]
}

fn container(image: &str, arguments: &[&str]) -> Value {
    // A workload ends when its standard input does.
    json!({"name": "main", "image": image, "imagePullPolicy": "Never", "stdin": true, "args": arguments})
}

fn server(image: &str, port: u16) -> Value {
    let text = port.to_string();
    let mut container = container(
        image,
        &["server", "--host", "0.0.0.0", "--port", &text, "--limit-s", "900"],
    );
    container["ports"] = json!([{"name": "grpc", "containerPort": port}]);
    container["readinessProbe"] = json!({"tcpSocket": {"port": port}, "periodSeconds": 1});
    container
}

pub fn deployment(name: &str, labels: &Value, replicas: u32, image: &str, port: u16) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [server(image, port)]}}}})
}

pub fn service(name: &str, app: &str, port: u16) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": app}, "ports": [{"port": port, "targetPort": "grpc"}]}})
}

fn pod(name: &str, labels: &Value, container: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 5}})
}

/// A server in the node's own network.
pub fn host_network(name: &str, image: &str, port: u16) -> Value {
    let mut pod = pod(name, &json!({"app": name}), &server(image, port));
    pod["spec"]["hostNetwork"] = json!(true);
    pod
}

/// A server that fails after some seconds, again and again.
pub fn crashing(name: &str, image: &str, port: u16, seconds: u32) -> Value {
    let mut container = server(image, port);
    if let Some(limit) = container["args"].as_array_mut().and_then(|args| args.last_mut()) {
        *limit = json!(seconds.to_string());
    }
    pod(name, &json!({"app": name}), &container)
}

pub fn client(name: &str, image: &str, address: &str) -> Value {
    let container = container(image, &["client", address, "--limit-s", "900"]);
    pod(name, &json!({"app.kubernetes.io/name": name}), &container)
}

/// Uses all of its share of a processor, and a little memory that stays as it is.
pub fn busy(name: &str, share: &str) -> Value {
    let container = json!({"name": "main", "image": "localhost/busybox:1", "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", "while :; do :; done"],
        "resources": {"limits": {"cpu": share, "memory": "64Mi"}}});
    pod(name, &json!({"app": name}), &container)
}

pub fn redis(name: &str) -> Value {
    let container = json!({"name": "redis", "image": REDIS_IMAGE, "imagePullPolicy": "Never",
        "args": ["--save", "", "--protected-mode", "no", "--dir", "/tmp"],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1}});
    pod(name, &json!({"app": name}), &container)
}

/// Opens and closes many connections, then holds a few.
pub fn redis_reader(name: &str, address: &str, storm: u32, held: u32) -> Value {
    let script = format!(
        "i=0; while [ $i -lt {storm} ]; do echo QUIT | nc {address} 6379 >/dev/null; i=$((i+1)); done; \
         i=0; while [ $i -lt {held} ]; do (sleep 900 | nc {address} 6379) & i=$((i+1)); done; echo READY; wait"
    );
    let container = json!({"name": "main", "image": "localhost/busybox:1", "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", script]});
    pod(name, &json!({"app": name}), &container)
}
