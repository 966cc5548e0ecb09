//! What Alertmanager keeps to itself: alerts that follow from others are inhibited, those that do not are told.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::monitoring::webhook::Webhook;
use tests::monitoring::{Server, Servers, stack};
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
        let which = if inhibited { "--inhibited" } else { "--active" };
        let answer: Value =
            serde_json::from_str(&self.amtool(&["alert", "query", which, "--output=json"])?)?;
        let mut names: Vec<String> = answer
            .as_array()
            .context("no list of alerts")?
            .iter()
            .filter_map(|alert| Some(alert["labels"]["alertname"].as_str()?.to_owned()))
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

const CASES: [Case; 6] = [
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
