//! The tests of the rules, tested: an alert that never fires is found by one of them, and so is one that always does; and no
//! recorded series is left out. What is generated (slo.*) is proved beside its generator, in xtask.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use tests::monitoring::Servers;
use tests::prerequisite::or_skip;
use tests::workload::cache;

use super::{files, rules};

const GENERATED: &str = "slo.rules.yaml";

#[test]
fn every_alert_has_a_test_that_fires_and_one_that_does_not() -> Result<()> {
    let test = "every_alert_has_a_test_that_fires_and_one_that_does_not";
    let Some(servers) = or_skip(test, Servers::prepare()) else {
        return Ok(());
    };
    let folder = cache::target_directory().join(format!("proof-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let checked = files("rules", ".rules.yaml")?
        .iter()
        .filter(|file| !file.ends_with(GENERATED))
        .try_for_each(|file| check(&servers, &folder, file));
    std::fs::remove_dir_all(&folder)?;
    checked
}

/// Every alert of these rules is missed where none fires, and told of where all do.
fn check(servers: &Servers, folder: &Path, rules: &Path) -> Result<()> {
    let text = std::fs::read_to_string(rules)?;
    for (expression, told) in [("vector(0) > 1", "fires"), ("vector(1)", "keeps quiet")] {
        let said = complaints(servers, folder, rules, &with_alerts(&text, expression))?;
        for alert in alerts(&text) {
            let tested = said
                .lines()
                .any(|line| alert.iter().all(|label| line.contains(label)));
            ensure!(tested, "no test that {alert:?} {told}");
        }
    }
    Ok(())
}

/// What promtool says of the shipped tests with other rules.
fn complaints(servers: &Servers, folder: &Path, rules: &Path, text: &str) -> Result<String> {
    let name = rules.file_name().unwrap_or_default();
    std::fs::write(folder.join(name), text)?;
    let tests = name.to_string_lossy().replace(".rules.", ".test.");
    std::fs::copy(rules.with_file_name(&tests), folder.join(&tests))?;
    let output = Command::new(servers.program("promtool"))
        .args(["test", "rules"])
        .arg(folder.join(&tests))
        .output()?;
    ensure!(!output.status.success(), "{tests} passes with other rules");
    let said = [output.stdout, output.stderr].concat();
    // The expressions are quoted twice there.
    Ok(String::from_utf8_lossy(&said).replace("\\\"", "\""))
}

/// The rules, with this in place of each alert's expression.
fn with_alerts(text: &str, expression: &str) -> String {
    let (mut alert, mut inside) = (false, false);
    let mut changed = String::new();
    for line in text.lines() {
        if line.starts_with("      - ") {
            alert = line.starts_with("      - alert: ");
        }
        if inside && line.starts_with("          ") {
            continue;
        }
        inside = alert && line.starts_with("        expr: ");
        if inside {
            changed.extend(["        expr: ", expression]);
        } else {
            changed += line;
        }
        changed.push('\n');
    }
    changed
}

/// How a test names each alert: by name, and where two have one name, by the label that tells them apart.
fn alerts(text: &str) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut count = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("      - alert: ") {
            *count.entry(name.to_owned()).or_insert(0) += 1;
            found.push(vec![name.to_owned()]);
        } else if let Some(alert) = found.last_mut() {
            for label in ["scope", "resource"] {
                if let Some(value) = line.strip_prefix(&format!("          {label}: ")) {
                    alert.push(format!("{label}=\"{value}\""));
                }
            }
        }
    }
    for alert in &mut found {
        if count[&alert[0]] == 1 {
            alert.truncate(1);
        }
        alert[0] = format!("alertname=\"{}\"", alert[0]);
    }
    found
}

#[test]
fn other_rules() {
    let text = "      - record: a\n        expr: b\n      - alert: C\n        expr: |\n          d\n          e\n        for: 1m\n";
    let changed =
        "      - record: a\n        expr: b\n      - alert: C\n        expr: vector(1)\n        for: 1m\n";
    assert_eq!(with_alerts(text, "vector(1)"), changed);
    let twice = "      - alert: A\n          scope: x\n      - alert: A\n          scope: y\n      - alert: B\n          scope: z\n";
    let named = [
        vec!["alertname=\"A\"", "scope=\"x\""],
        vec!["alertname=\"A\"", "scope=\"y\""],
        vec!["alertname=\"B\""],
    ];
    assert_eq!(alerts(twice), named);
}

/// By a test, or by a rule that has one.
#[test]
fn every_recorded_series_is_used() -> Result<()> {
    let (recorded, mut texts) = rules()?;
    for file in files("rules", ".test.yaml")? {
        let text = std::fs::read_to_string(&file)?;
        let asked: Vec<&str> = text
            .lines()
            .filter(|line| line.trim_start().starts_with("- expr: "))
            .collect();
        texts.insert(file, asked.join("\n"));
    }
    for name in &recorded {
        let used = texts.values().any(|text| {
            text.match_indices(name.as_str()).any(|(at, _)| {
                let rest = &text[at + name.len()..];
                !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_' || next == ':')
            })
        });
        ensure!(used, "no test and no rule asks for {name}");
    }
    Ok(())
}
