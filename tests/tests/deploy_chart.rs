//! The chart, rendered for a matrix of values: valid against the schemas of Kubernetes, never with more rights than it
//! says; and the manifests, which are the chart's and nothing else.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::monitoring::chart::Chart;
use tests::monitoring::operator::Operator;
use tests::monitoring::{Servers, deploy};
use tests::observer;
use tests::prerequisite::or_skip;
use tests::workload::cache;

#[path = "deploy_chart/matrix.rs"]
mod matrix;

use matrix::{CLOSED, MATRIX, OPERATOR};

/// Set to write deploy/manifests instead of comparing it.
const RENDER: &str = "OBSERVER_RENDER";

/// Kinds that Kubernetes itself has no schema for.
const OF_OPERATOR: [&str; 2] = ["PodMonitor", "PrometheusRule"];

struct Rendered {
    objects: Vec<Value>,
}

impl Rendered {
    fn new(chart: &Chart, set: &[&str]) -> Result<Self> {
        let file = scratch("rendered.yaml")?;
        std::fs::write(&file, chart.render(set)?)?;
        let objects = chart.objects(&file)?;
        std::fs::remove_file(file)?;
        Ok(Self { objects })
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    fn pod(&self) -> Result<&Value> {
        let daemon = self.of_kind("DaemonSet").next().context("no DaemonSet")?;
        Ok(&daemon["spec"]["template"]["spec"])
    }
}

/// A file of this test process alone.
fn scratch(name: &str) -> Result<PathBuf> {
    let thread = format!("{:?}", std::thread::current().id());
    let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
    let folder = cache::target_directory().join("workloads");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("chart-{}-{thread}-{name}", std::process::id())))
}

#[test]
fn every_combination_is_valid() -> Result<()> {
    let Some(chart) = or_skip("every_combination_is_valid", Chart::prepare()) else {
        return Ok(());
    };
    for set in MATRIX {
        chart.lint(set)?;
        let rendered = Rendered::new(&chart, set)?;
        let native = rendered
            .objects
            .iter()
            .filter(|object| !OF_OPERATOR.iter().any(|kind| object["kind"] == *kind));
        for object in native {
            let file = scratch("object.json")?;
            std::fs::write(&file, object.to_string())?;
            let valid = chart.validate(&file);
            std::fs::remove_file(&file)?;
            valid.with_context(|| format!("{set:?}"))?;
        }
    }
    Ok(())
}

/// The same of the Prometheus operator's kinds, against its own schemas.
#[test]
fn the_operator_knows_every_field() -> Result<()> {
    let test = "the_operator_knows_every_field";
    let (Some(chart), Some(operator)) = (
        or_skip(test, Chart::prepare()),
        or_skip(test, Operator::prepare()),
    ) else {
        return Ok(());
    };
    let mut objects = Vec::new();
    for set in MATRIX {
        let rendered = Rendered::new(&chart, set)?;
        objects.extend(
            OF_OPERATOR
                .iter()
                .flat_map(|kind| rendered.of_kind(kind).cloned()),
        );
    }
    ensure!(objects.len() >= 7, "only {} objects", objects.len());
    operator.validate(&objects)?;
    let mut wrong = objects.swap_remove(0);
    wrong["spec"]["podMetricsEndpoints"][0]["honourLabels"] = json!(true);
    ensure!(operator.validate(&[wrong]).is_err(), "an unknown field is taken");
    Ok(())
}

#[test]
fn values_are_checked() -> Result<()> {
    let Some(chart) = or_skip("values_are_checked", Chart::prepare()) else {
        return Ok(());
    };
    for wrong in [
        "port=99999",
        "kubernetes.names=maybe",
        "cgroup.path=/etc",
        "web.scheme=FTP",
        "web.probes=exec",
        "podMonitor.tls=x",
        "priviliged=true",
        "image.digest=sha256:1",
        "podMonitor.interval=often",
    ] {
        ensure!(chart.refusal(&[wrong]).is_some(), "helm takes {wrong}");
    }
    Ok(())
}

/// Every value has a description, and nothing is described that is no value.
#[test]
fn values_are_described() -> Result<()> {
    let Some(chart) = or_skip("values_are_described", Chart::prepare()) else {
        return Ok(());
    };
    let folder = deploy().join("chart");
    let values = chart.objects(&folder.join("values.yaml"))?;
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("values.schema.json"))?)?;
    let values = values.first().context("no values")?;
    described("", values, &schema)
}

fn described(place: &str, values: &Value, schema: &Value) -> Result<()> {
    let (Some(values), Some(properties)) = (values.as_object(), schema["properties"].as_object()) else {
        return Ok(());
    };
    let known: BTreeSet<&String> = properties.keys().filter(|key| *key != "global").collect();
    let given: BTreeSet<&String> = values.keys().collect();
    ensure!(
        known == given,
        "{place}: {known:?} are described, {given:?} are given"
    );
    for (name, property) in properties {
        let text = property["description"].as_str().unwrap_or_default();
        ensure!(text.len() > 10, "{place}.{name} has no description");
        described(
            &format!("{place}.{name}"),
            &values.get(name).cloned().unwrap_or_default(),
            property,
        )?;
    }
    Ok(())
}

#[test]
fn the_pod_may_little() -> Result<()> {
    let Some(chart) = or_skip("the_pod_may_little", Chart::prepare()) else {
        return Ok(());
    };
    let rendered = Rendered::new(&chart, &[])?;
    let pod = rendered.pod()?;
    let container = &pod["containers"][0];
    let expected = json!({
        "privileged": false, "runAsUser": 0, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"], "add": ["BPF", "NET_ADMIN", "PERFMON"]},
    });
    ensure!(
        container["securityContext"] == expected,
        "{}",
        container["securityContext"]
    );
    ensure!(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault");
    ensure!(pod["hostNetwork"] == false);
    let mounts = container["volumeMounts"].as_array().context("no mounts")?;
    ensure!(mounts.iter().all(|mount| mount["readOnly"] == true), "{mounts:?}");
    let volumes = pod["volumes"].as_array().context("no volumes")?;
    let of_host: Vec<&Value> = volumes
        .iter()
        .map(|volume| &volume["hostPath"]["path"])
        .filter(|path| !path.is_null())
        .collect();
    ensure!(of_host == [&json!("/sys/fs/cgroup")], "{of_host:?}");
    let roles: Vec<&Value> = rendered
        .of_kind("ClusterRole")
        .map(|role| &role["rules"])
        .collect();
    let watch = json!([{"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["list", "watch"]}]);
    ensure!(roles == [&watch], "{roles:?}");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        ensure!(container[probe]["httpGet"]["port"] == "metrics", "{probe}");
    }
    let update = &rendered.of_kind("DaemonSet").next().context("no DaemonSet")?["spec"]["updateStrategy"];
    ensure!(update["rollingUpdate"]["maxUnavailable"] == 1, "{update}");
    Ok(())
}

/// The kubelet has neither a certificate nor a password; Prometheus has what it is given.
#[test]
fn a_closed_endpoint_is_probed_and_scraped() -> Result<()> {
    let Some(chart) = or_skip("a_closed_endpoint_is_probed_and_scraped", Chart::prepare()) else {
        return Ok(());
    };
    let rendered = Rendered::new(&chart, &CLOSED)?;
    let container = &rendered.pod()?["containers"][0];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let probe = &container[probe];
        ensure!(
            probe["tcpSocket"]["port"] == "metrics" && probe["httpGet"].is_null(),
            "{probe}"
        );
    }
    let monitor = rendered.of_kind("PodMonitor").next().context("no PodMonitor")?;
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    ensure!(endpoint["scheme"] == "https", "{endpoint}");
    let trusted = json!({"ca": {"secret": {"name": "observer-scrape", "key": "ca.crt"}}, "serverName": "marty-observer"});
    ensure!(endpoint["tlsConfig"] == trusted, "{endpoint}");
    ensure!(
        endpoint["basicAuth"]["password"]["key"] == "password",
        "{endpoint}"
    );
    Ok(())
}

#[test]
fn no_token_without_names() -> Result<()> {
    let Some(chart) = or_skip("no_token_without_names", Chart::prepare()) else {
        return Ok(());
    };
    let rendered = Rendered::new(&chart, &["kubernetes.names=off"])?;
    ensure!(rendered.pod()?["automountServiceAccountToken"] == false);
    ensure!(rendered.of_kind("ClusterRole").count() == 0);
    ensure!(rendered.of_kind("ClusterRoleBinding").count() == 0);
    Ok(())
}

#[test]
fn rules_and_dashboards_arrive_whole() -> Result<()> {
    let test = "rules_and_dashboards_arrive_whole";
    let Some(chart) = or_skip(test, Chart::prepare()) else {
        return Ok(());
    };
    let Some(servers) = or_skip(test, Servers::prepare()) else {
        return Ok(());
    };
    let set = [&OPERATOR[..], &["rules.runbookUrl=https://wiki.example/pages"]].concat();
    let rendered = Rendered::new(&chart, &set)?;
    let mut rules = 0;
    for object in rendered.of_kind("PrometheusRule") {
        let text = object["spec"].to_string();
        ensure!(
            !text.contains("runbooks.example") && text.contains("wiki.example"),
            "{}",
            object["metadata"]
        );
        let file = scratch("rules.yaml")?;
        std::fs::write(&file, &text)?;
        let output = Command::new(servers.program("promtool"))
            .args(["check", "rules"])
            .arg(&file)
            .output()?;
        std::fs::remove_file(&file)?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        rules += 1;
    }
    ensure!(rules == 5, "{rules} objects of rules");
    let mut dashboards = 0;
    for object in rendered
        .of_kind("ConfigMap")
        .filter(|object| object["metadata"]["labels"]["grafana_dashboard"] == "1")
    {
        for (name, text) in object["data"].as_object().into_iter().flatten() {
            let shipped: Value =
                serde_json::from_str(&std::fs::read_to_string(deploy().join("dashboards").join(name))?)?;
            let arrived: Value = serde_json::from_str(text.as_str().unwrap_or_default())?;
            ensure!(shipped == arrived, "{name}");
            dashboards += 1;
        }
    }
    ensure!(dashboards == 4, "{dashboards} dashboards");
    Ok(())
}

#[test]
fn the_configuration_is_known_to_the_daemon() -> Result<()> {
    let test = "the_configuration_is_known_to_the_daemon";
    let Some(chart) = or_skip(test, Chart::prepare()) else {
        return Ok(());
    };
    let Some(daemon) = or_skip(test, observer::prepare()) else {
        return Ok(());
    };
    for set in MATRIX {
        let rendered = Rendered::new(&chart, set)?;
        let map = rendered
            .of_kind("ConfigMap")
            .find(|map| !map["data"]["observer.yaml"].is_null());
        let text = map.context("no configuration")?["data"]["observer.yaml"]
            .as_str()
            .unwrap_or_default();
        let file = scratch("observer.yaml")?;
        std::fs::write(&file, text)?;
        let output = Command::new(&daemon)
            .args(["config", "--config"])
            .arg(&file)
            .output()?;
        std::fs::remove_file(&file)?;
        ensure!(
            output.status.success(),
            "{set:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// The commented lines of the operator's kustomization do what they are for.
fn labelled(chart: &Chart) -> Result<()> {
    let manifests = deploy().join("manifests");
    let folder = scratch("labelled")?;
    std::fs::create_dir_all(folder.join("operator"))?;
    let text = std::fs::read_to_string(manifests.join("operator/kustomization.yaml"))?;
    let (active, commented) = text.split_once("# labels:\n").context("no labels")?;
    let commented = commented.replace("#   ", "  ");
    std::fs::write(
        folder.join("operator/kustomization.yaml"),
        format!("{active}labels:\n{commented}").replace("  - ../base\n", ""),
    )?;
    std::fs::copy(
        manifests.join("operator/monitoring.yaml"),
        folder.join("operator/monitoring.yaml"),
    )?;
    let applied = chart.kustomize(&folder.join("operator"));
    std::fs::remove_dir_all(&folder)?;
    let count = applied?.matches("\n    release: prometheus\n").count();
    ensure!(count == 10, "{count} of 10 objects have the label");
    Ok(())
}

/// Where a namespace may run a pod like this, in front of what the chart renders.
const HEAD: &str = "# Rendered from deploy/chart; change that, then: OBSERVER_RENDER=1 cargo test -p tests --test deploy_chart\n";

#[test]
fn manifests_are_the_chart() -> Result<()> {
    let Some(chart) = or_skip("manifests_are_the_chart", Chart::prepare()) else {
        return Ok(());
    };
    let whole = chart.render(&OPERATOR)?;
    let base = chart.render(&[])?;
    // Only what the operator adds; the rest is the base.
    let added: String = whole
        .split_inclusive("\n---\n")
        .filter(|document| {
            ["podmonitor", "prometheusrule", "dashboards"]
                .iter()
                .any(|name| document.contains(&format!("templates/{name}.yaml")))
        })
        .collect();
    for (name, text) in [
        ("base/marty-observer.yaml", base),
        ("operator/monitoring.yaml", added),
    ] {
        let text = format!("{HEAD}{}\n", text.trim_end().trim_end_matches("---").trim_end());
        let file = deploy().join("manifests").join(name);
        if std::env::var_os(RENDER).is_some() {
            std::fs::write(&file, &text)?;
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        ensure!(
            found == text,
            "{} is not what the chart says; {HEAD}",
            file.display()
        );
    }
    labelled(&chart)?;
    for folder in ["base", "operator"] {
        let applied = chart.kustomize(&deploy().join("manifests").join(folder))?;
        ensure!(
            applied.contains("kind: DaemonSet") && applied.contains("kind: Namespace"),
            "{folder}"
        );
    }
    Ok(())
}
