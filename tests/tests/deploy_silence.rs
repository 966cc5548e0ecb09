//! What Alertmanager keeps to itself: alerts that follow from others are inhibited, those that do not are told.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::monitoring::prometheus::Prometheus;
use tests::monitoring::webhook::Webhook;
use tests::monitoring::{Server, Servers, application, stack};
use tests::prerequisite::or_skip;
use tests::wait;
use tests::workload::cache;

/// Inhibition is looked up when an alert is asked for; only the server has to take them in.
const LIMIT: Duration = Duration::from_secs(30);

struct Alertmanager {
    servers: Servers,
    server: Server,
}

impl Alertmanager {
    fn amtool(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(self.servers.program("amtool"))
            .arg(format!("--alertmanager.url=http://{}", self.server.address()))
            .args(arguments)
            .output()?;
        ensure!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Names of the alerts that fire and are told, or are inhibited.
    fn alerts(&self, inhibited: bool) -> Result<Vec<String>> {
        let name = |labels: &Value| Some(labels["alertname"].as_str()?.to_owned());
        self.labels(inhibited, name)
    }

    /// What `of` makes of the labels of each.
    fn labels(&self, inhibited: bool, of: impl Fn(&Value) -> Option<String>) -> Result<Vec<String>> {
        let which = if inhibited { "--inhibited" } else { "--active" };
        let answer: Value =
            serde_json::from_str(&self.amtool(&["alert", "query", which, "--output=json"])?)?;
        let mut names: Vec<String> = answer
            .as_array()
            .context("no list of alerts")?
            .iter()
            .filter_map(|alert| of(&alert["labels"]))
            .collect();
        names.sort();
        Ok(names)
    }
}

/// Of these alerts, sent together, only `told` are told.
fn check(manager: &Alertmanager, alerts: &[&str], told: &[&str]) -> Result<()> {
    for alert in alerts {
        let labels: Vec<&str> = alert.split(' ').collect();
        manager.amtool(&[&["alert", "add", "--end", END], labels.as_slice()].concat())?;
    }
    let found = wait::until(LIMIT, || {
        let of = |inhibited| manager.alerts(inhibited).map_err(|error| format!("{error:#}"));
        let (active, inhibited) = (of(false)?, of(true)?);
        if active == told && active.len() + inhibited.len() == alerts.len() {
            return Ok(());
        }
        Err(format!("told {active:?}, kept {inhibited:?}, of {alerts:?}"))
    });
    found.with_context(|| manager.server.report())
}

/// Far away: the test ends first.
const END: &str = "2099-01-01T00:00:00Z";

#[test]
fn alerts_that_follow_from_others_are_kept() -> Result<()> {
    let Some(servers) = or_skip("alerts_that_follow_from_others_are_kept", Servers::prepare()) else {
        return Ok(());
    };
    for (number, (alerts, told)) in CASES.iter().enumerate() {
        let folder = cache::target_directory().join(format!("silence-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let checked = in_folder(&servers, &folder, alerts, told);
        std::fs::remove_dir_all(&folder)?;
        checked?;
    }
    Ok(())
}

/// From a scrape to an alert in Alertmanager, on a loaded machine.
const FIRING: Duration = Duration::from_mins(2);

/// What the rules really emit when a node is down, told or kept, as `ALERT/SERVICE`.
#[test]
fn a_node_silences_what_is_on_it_alone() -> Result<()> {
    let Some(servers) = or_skip("a_node_silences_what_is_on_it_alone", Servers::prepare()) else {
        return Ok(());
    };
    let folder = cache::target_directory().join(format!("silence-{}-node", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let checked = node_down(&servers, &folder);
    std::fs::remove_dir_all(&folder)?;
    checked
}

fn node_down(servers: &Servers, folder: &Path) -> Result<()> {
    let webhook = Webhook::start()?;
    let server = servers.alertmanager(&stack::told_by(&webhook, folder)?, &folder.join("alertmanager"))?;
    let manager = Alertmanager {
        servers: servers.clone(),
        server,
    };
    let configuration = SCRAPED
        .replace("ALERTMANAGER", manager.server.address())
        .replace("CLUSTER", &application::serve(of_cluster)?);
    let prometheus = Prometheus::start_impatient(servers, folder, &configuration)?;
    let named = |labels: &Value| {
        let text = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
        // Objectives are about many services.
        labels["slo"]
            .is_null()
            .then(|| format!("{}/{}", text("alertname"), text("service")))
    };
    let found = wait::until(FIRING, || {
        let of = |inhibited| {
            manager
                .labels(inhibited, named)
                .map_err(|error| format!("{error:#}"))
        };
        let (told, kept) = (of(false)?, of(true)?);
        if told == TOLD && kept == KEPT {
            return Ok(());
        }
        Err(format!("told {told:?}, kept {kept:?}"))
    });
    found.with_context(|| {
        let firing = prometheus.query("ALERTS{slo=\"\"}");
        format!("{}{firing:?}", manager.server.report())
    })
}

/// As deploy/prometheus labels its targets; the labels of the observer's and kube-state-metrics' series are their own.
const SCRAPED: &str = "
global: {scrape_interval: 15s, evaluation_interval: 15s}
rule_files: [rules/*.rules.yaml]
alerting: {alertmanagers: [{static_configs: [{targets: [ALERTMANAGER]}]}]}
scrape_configs:
  - {job_name: marty-observer, honor_labels: true, static_configs: [{targets: [CLUSTER]}]}
";

/// Node n1 is down. `mint` is on n1 alone and down, `ledger` is there alone, slow and wrong, `vault` is down there and on n2.
fn of_cluster(asked: u32) -> String {
    OF_CLUSTER.replace("ASKED", &asked.to_string()).replace(
        "LEDGER",
        r#"service="ledger",namespace="marty",pod="ledger-0",node="n1",method="/a.B/C""#,
    )
}

const OF_CLUSTER: &str = r#"
kube_node_status_condition{node="n1",condition="Ready",status="true"} 0
marty_service_health_status{service="mint",namespace="marty",pod="mint-0",node="n1"} 0
marty_grpc_requests_total{service="mint",namespace="marty",pod="mint-0",node="n1",method="/a.B/C",status="OK"} ASKED
marty_service_health_status{service="vault",namespace="marty",pod="vault-0",node="n1"} 0
marty_service_health_status{service="vault",namespace="marty",pod="vault-1",node="n2"} 0
marty_grpc_requests_total{service="vault",namespace="marty",pod="vault-0",node="n1",method="/a.B/C",status="OK"} ASKED
marty_service_health_status{service="ledger",namespace="marty",pod="ledger-0",node="n1"} 1
marty_grpc_requests_total{LEDGER,status="INTERNAL"} ASKED
marty_grpc_errors_total{LEDGER,error_type="INTERNAL"} ASKED
marty_grpc_request_duration_seconds_bucket{LEDGER,le="5.0"} 0
marty_grpc_request_duration_seconds_bucket{LEDGER,le="10.0"} ASKED
marty_grpc_request_duration_seconds_bucket{LEDGER,le="+Inf"} ASKED
"#;

const TOLD: [&str; 2] = ["KubernetesNodeDown/", "MartyServiceDown/vault"];
const KEPT: [&str; 11] = [
    "HighErrorRate/ledger",
    "HighRequestLatency/ledger",
    "KubernetesNodeNotReady/",
    "MartyServiceDown/mint",
    "MartyServiceHighErrorRate/ledger",
    "MartyServiceHighLatency/ledger",
    "ServiceDown/mint",
    "ServiceDown/vault",
    "ServiceUnhealthy/mint",
    "ServiceUnhealthy/vault",
    "ServiceUnhealthy/vault",
];

/// A server of its own for each case: alerts cannot be taken back.
fn in_folder(servers: &Servers, folder: &Path, alerts: &[&str], told: &[&str]) -> Result<()> {
    let webhook = Webhook::start()?;
    let configuration = stack::told_by(&webhook, folder)?;
    let server = servers.alertmanager(&configuration, &folder.join("data"))?;
    let manager = Alertmanager {
        servers: servers.clone(),
        server,
    };
    check(&manager, alerts, told)
}

type Case = (&'static [&'static str], &'static [&'static str]);

const CASES: [Case; 7] = [
    // A node that is down silences what is on it, not what is elsewhere.
    (
        &[
            "KubernetesNodeDown node=n1 severity=critical",
            "ServiceUnhealthy service=csca namespace=marty node=n1 severity=warning",
            "MartyObserverDown instance=n1:9464 node=n1 severity=critical",
            "LowDiskSpace instance=n2:9100 node=n2 severity=warning",
        ],
        &["KubernetesNodeDown", "LowDiskSpace"],
    ),
    // Services are told of after a minute, nodes after five: what is kept then waits for the node already before.
    (
        &[
            "KubernetesNodeNotReady node=n1 severity=warning",
            "ServiceDown scope=scraped service=csca namespace=marty node=n1 severity=critical",
            "ServiceDown scope=scraped service=pkd namespace=marty node=n2 severity=critical",
        ],
        &["KubernetesNodeNotReady", "ServiceDown"],
    ),
    // A service that is down is also slow and wrong; another one is not.
    (
        &[
            "MartyServiceDown service=csca namespace=marty severity=critical",
            "ServiceDown service=csca namespace=marty severity=critical",
            "HighErrorRate service=csca namespace=marty severity=warning",
            "HighRequestLatency service=pkd namespace=marty severity=warning",
        ],
        &["HighRequestLatency", "MartyServiceDown"],
    ),
    // One instance that does not answer its scrape says nothing about the others; the observer's word is about all.
    (
        &[
            "ServiceDown scope=scraped service=csca namespace=marty instance=10.0.0.1:8080 severity=critical",
            "MartyServiceHighErrorRate service=csca namespace=marty severity=critical",
            "ServiceDown scope=observed service=pkd namespace=marty severity=critical",
            "MartyServiceHighErrorRate service=pkd namespace=marty severity=critical",
        ],
        &["MartyServiceHighErrorRate", "ServiceDown", "ServiceDown"],
    ),
    (
        &[
            "MartyServiceHighErrorRate service=csca severity=critical",
            "HighErrorRate service=csca severity=warning",
        ],
        &["MartyServiceHighErrorRate"],
    ),
    // The fastest burn of one budget.
    (
        &[
            "PlatformAvailabilityFastBurn slo=platform_availability alert_type=slo_burn_rate burn_rate=fast severity=critical",
            "PlatformAvailabilityMediumBurn slo=platform_availability alert_type=slo_burn_rate burn_rate=medium severity=critical",
            "PlatformAvailabilitySlowBurn slo=platform_availability alert_type=slo_burn_rate burn_rate=slow severity=warning",
            "CscaAvailabilitySlowBurn slo=csca_availability alert_type=slo_burn_rate burn_rate=slow severity=warning",
        ],
        &["CscaAvailabilitySlowBurn", "PlatformAvailabilityFastBurn"],
    ),
    // An alert without a node is on no node that is down.
    (
        &[
            "KubernetesNodeDown node=n1 severity=critical",
            "PlatformAvailabilityCritical severity=critical",
        ],
        &["KubernetesNodeDown", "PlatformAvailabilityCritical"],
    ),
];
