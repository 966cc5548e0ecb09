//! The alerts as they are written: each has what people need who are told, and each that the platform's documents promise is
//! there, with its threshold and duration.

use anyhow::{Context as _, Result, ensure};
use tests::monitoring::deploy;

use super::files;

/// Alert, `for`, and all of its lines.
fn alerts() -> Result<Vec<(String, Option<String>, String)>> {
    let mut alerts: Vec<(String, Option<String>, String)> = Vec::new();
    for file in files("rules", ".rules.yaml")? {
        for line in std::fs::read_to_string(file)?.lines() {
            let line = line.trim_start();
            if let Some(name) = line.strip_prefix("- alert: ") {
                alerts.push((name.to_owned(), None, String::new()));
            } else if let Some(alert) = alerts.last_mut() {
                if let Some(pending) = line.strip_prefix("for: ") {
                    alert.1 = Some(pending.to_owned());
                }
                alert.2 += line;
                alert.2.push('\n');
            }
        }
    }
    Ok(alerts)
}

#[test]
fn every_alert_has_a_page() -> Result<()> {
    for (alert, _, text) in alerts()? {
        let page = text
            .lines()
            .find_map(|line| line.strip_prefix("runbook_url: ")?.rsplit('/').next())
            .with_context(|| format!("{alert} names no page"))?;
        let path = deploy().join("runbooks").join(page);
        ensure!(path.exists(), "{alert}: there is no {}", path.display());
        for part in ["summary: ", "description: ", "severity: ", "team: "] {
            ensure!(text.contains(part), "{alert} has no {part}");
        }
    }
    Ok(())
}

/// What the platform's documents promise: alert, part of its expression, duration.
const PROMISED: [(&str, &str, Option<&str>); 24] = [
    ("MartyServiceDown", "== 0", Some("5m")),
    ("MartyServiceHighErrorRate", "> 0.10", Some("5m")),
    ("MartyServiceHighLatency", "p95_5m > 5", Some("5m")),
    ("MartyDeadLetterQueueGrowing", "[10m]) > 10", None),
    ("MartyDatabaseConnectionIssues", "> 0.8", Some("5m")),
    ("MartyEventProcessingBacklog", "> 1000", Some("5m")),
    ("KubernetesNodeDown", "== 0", Some("5m")),
    ("HighCPUUsage", "> 0.8", Some("5m")),
    ("HighMemoryUsage", "> 0.9", Some("5m")),
    ("HighMemoryUsage", "> 1e9", Some("5m")),
    ("LowDiskSpace", "> 0.85", Some("5m")),
    ("ServiceDown", "== 0", Some("1m")),
    ("ServiceUnhealthy", "== 0", Some("2m")),
    ("HighRequestLatency", "p95_5m > 1", Some("5m")),
    ("HighErrorRate", "> 0.1", Some("5m")),
    ("MessageProcessingLag", "> 0.05", Some("5m")),
    ("NoMessagesProcessed", "== 0", Some("10m")),
    ("HighDataQualityIssues", "> 0", None),
    ("PlatformAvailabilityCritical", "rate5m < 0.99", Some("2m")),
    ("PlatformAvailabilityFastBurn", "> 14.4", Some("2m")),
    ("MLInferenceLatencyHigh", "> 2.0", Some("5m")),
    ("GPUUtilizationLow", "< 0.3", Some("30m")),
    ("PerformanceDegradation", "> 2", Some("10m")),
    ("ResourceUsageHigh", "> 90", Some("10m")),
];

#[test]
fn every_promised_alert_exists() -> Result<()> {
    let alerts = alerts()?;
    for (name, part, pending) in PROMISED {
        let found = alerts.iter().any(|(alert, own, text)| {
            let joined = text.replace('\n', " ");
            alert == name && own.as_deref() == pending && names(&joined, part)
        });
        ensure!(found, "{name} with `{part}` for {pending:?}");
    }
    Ok(())
}

/// Whether the text has this part, the number at its end whole: `> 0.1` is not in `> 0.15`.
fn names(text: &str, part: &str) -> bool {
    text.match_indices(part).any(|(at, _)| {
        let rest = &text[at + part.len()..];
        !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '.')
    })
}

#[test]
fn a_threshold_is_a_whole_number() {
    assert!(names("a > 0.1", "> 0.1") && names("(a > 0.1) * b", "> 0.1"));
    assert!(!names("a > 0.15", "> 0.1") && !names("a > 10.5", "> 10") && !names("a > 1e9", "> 1"));
}
