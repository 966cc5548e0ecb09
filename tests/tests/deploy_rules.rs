//! The shipped rules, routes and dashboards, without a kernel: Prometheus' and Alertmanager's own checks, and what only
//! this project knows: every alert of the platform's documents, a page for every alert, families that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tests::monitoring::{Servers, dashboard, deploy};
use tests::prerequisite::or_skip;

#[path = "deploy_rules/alert.rs"]
mod alert;
#[path = "deploy_rules/proof.rs"]
mod proof;

/// Files of a folder of `deploy` whose names end so.
fn files(folder: &str, end: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(deploy().join(folder))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            files.push(path);
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "no *{end} in {folder}");
    Ok(files)
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(said)
}

#[test]
fn rules_pass_their_tests() -> Result<()> {
    let Some(servers) = or_skip("rules_pass_their_tests", Servers::prepare()) else {
        return Ok(());
    };
    let promtool = servers.program("promtool");
    let rules = files("rules", ".rules.yaml")?;
    run(Command::new(&promtool)
        .args(["check", "rules", "--lint=all", "--lint-fatal"])
        .args(&rules))?;
    let tests = files("rules", ".test.yaml")?;
    ensure!(
        tests.len() == rules.len(),
        "{} files of rules, {} of tests",
        rules.len(),
        tests.len()
    );
    run(Command::new(&promtool).args(["test", "rules"]).args(&tests))?;
    Ok(())
}

#[test]
fn configurations_are_accepted() -> Result<()> {
    let Some(servers) = or_skip("configurations_are_accepted", Servers::prepare()) else {
        return Ok(());
    };
    for file in files("prometheus", ".yml")? {
        run(Command::new(servers.program("promtool"))
            .args(["check", "config", "--syntax-only"])
            .arg(file))?;
    }
    let alertmanager = deploy().join("alertmanager/alertmanager.yml");
    run(Command::new(servers.program("amtool"))
        .arg("check-config")
        .arg(alertmanager))?;
    Ok(())
}

/// Whoever follows the page for one server ends with an Alertmanager that has the shipped configuration and its secrets.
#[test]
fn the_page_of_one_server_configures_alertmanager() -> Result<()> {
    let page = std::fs::read_to_string(deploy().join("README.md"))?;
    let (_, server) = page
        .split_once("\n## One Linux server\n")
        .context("no such heading")?;
    let (server, _) = server.split_once("\n## ").context("no next heading")?;
    let configuration = std::fs::read_to_string(deploy().join("alertmanager/alertmanager.yml"))?;
    let secrets: BTreeSet<&str> = configuration
        .lines()
        .filter_map(|line| Some(line.split_once("_file: secrets/")?.1.trim()))
        .collect();
    ensure!(secrets.len() == 3, "{secrets:?}");
    for part in secrets.into_iter().chain([
        "/etc/prometheus/secrets",
        "amtool check-config /etc/prometheus/alertmanager.yml",
        "systemctl restart prometheus prometheus-alertmanager",
    ]) {
        ensure!(server.contains(part), "the page does not name {part}");
    }
    Ok(())
}

/// Alerts on a target belong to its node, which Alertmanager silences them by. kube-state-metrics speaks of others' nodes.
#[test]
fn targets_have_their_node() -> Result<()> {
    for file in files("prometheus", ".yml")? {
        let text = std::fs::read_to_string(&file)?;
        let jobs: Vec<&str> = text.split("- job_name: ").skip(1).collect();
        ensure!(jobs.len() >= 4, "{}: {} jobs", file.display(), jobs.len());
        for job in jobs {
            let name = job.split_whitespace().next().unwrap_or_default();
            let has = job.contains("target_label: node\n");
            ensure!(
                has != (name == "kube-state-metrics"),
                "{}: {name} has `node`: {has}",
                file.display()
            );
        }
    }
    Ok(())
}

#[test]
fn alerts_take_their_routes() -> Result<()> {
    let Some(servers) = or_skip("alerts_take_their_routes", Servers::prepare()) else {
        return Ok(());
    };
    let folder = deploy().join("alertmanager");
    let routes = std::fs::read_to_string(folder.join("routes.test"))?;
    let mut asked = 0;
    for line in routes.lines().filter(|line| !line.starts_with('#')) {
        let (labels, receivers) = line
            .split_once(" -> ")
            .with_context(|| format!("no receivers: {line}"))?;
        run(Command::new(servers.program("amtool"))
            .args(["config", "routes", "test", "--config.file"])
            .arg(folder.join("alertmanager.yml"))
            .arg(format!("--verify.receivers={receivers}"))
            .args(labels.split(' ')))?;
        asked += 1;
    }
    ensure!(asked >= 7, "only {asked} routes were asked");
    Ok(())
}

#[test]
fn pages_lead_somewhere() -> Result<()> {
    for page in files("runbooks", ".md")? {
        let text = std::fs::read_to_string(&page)?;
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = deploy().join("runbooks").join(link);
            ensure!(path.exists(), "{}: there is no {link}", page.display());
        }
    }
    Ok(())
}

/// Metrics of others: exporters, and applications under the names of the platform's documents. Only names that look like ours
/// or an exporter's are looked at.
const FOREIGN: [&str; 11] = [
    "kube_node_status_condition",
    "kube_pod_container_resource_limits",
    "kube_pod_container_status_restarts_total",
    "marty_database_connections_max",
    "marty_dead_letter_queue_size",
    "marty_event_processing_queue_size",
    "node_cpu_seconds_total",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
];

/// Families of `observer/docs/metrics.md`, which is generated and tested.
fn families() -> Result<BTreeSet<String>> {
    let page = std::fs::read_to_string(deploy().join("../observer/docs/metrics.md"))?;
    let families: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .collect();
    ensure!(families.len() > 30, "only {families:?}");
    Ok(families)
}

/// What looks like a metric in an expression: words with `_`, not in quotes, not before `=`, not called.
fn named(expression: &str) -> BTreeSet<String> {
    let unquoted: String = expression
        .split('"')
        .enumerate()
        .filter_map(|(index, part)| (index % 2 == 0).then_some(part))
        .collect::<Vec<_>>()
        .join("\"\"");
    let mut words = BTreeSet::new();
    let mut rest = unquoted.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let word_end = rest[start..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            .map_or(rest.len(), |length| start + length);
        let (word, after) = (&rest[start..word_end], rest[word_end..].trim_start());
        let is_metric = (word.starts_with("marty_")
            || word.starts_with("node_")
            || word.starts_with("kube_")
            || word.contains(':'))
            && !after.starts_with(['=', '!', '(']);
        if is_metric {
            words.insert(word.to_owned());
        }
        rest = &rest[word_end..];
    }
    words
}

fn check_named(
    place: &str,
    expression: &str,
    families: &BTreeSet<String>,
    recorded: &BTreeSet<String>,
) -> Result<()> {
    for name in named(expression) {
        let base = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(&name);
        let known = families.contains(&name)
            || families.contains(base)
            || recorded.contains(&name)
            || FOREIGN.contains(&name.as_str());
        ensure!(known, "{place}: nobody exports {name}: {expression}");
    }
    Ok(())
}

/// Names that recording rules give, and all expressions of rules by their file.
fn rules() -> Result<(BTreeSet<String>, BTreeMap<PathBuf, String>)> {
    let mut recorded = BTreeSet::new();
    let mut texts = BTreeMap::new();
    for file in files("rules", ".rules.yaml")? {
        let text = std::fs::read_to_string(&file)?;
        recorded.extend(
            text.lines()
                .filter_map(|line| line.trim_start().strip_prefix("- record: "))
                .map(str::to_owned),
        );
        texts.insert(file, expressions(&text));
    }
    Ok((recorded, texts))
}

/// The lines of a file of rules that belong to expressions.
fn expressions(text: &str) -> String {
    let mut inside = false;
    let mut found = String::new();
    for line in text.lines() {
        if let Some(first) = line.strip_prefix("        expr: ") {
            inside = true;
            found += first.trim_start_matches('|');
        } else if inside && line.starts_with("          ") {
            found += line;
        } else {
            inside = false;
        }
        found.push('\n');
    }
    found
}

#[test]
fn rules_and_dashboards_name_what_exists() -> Result<()> {
    let families = families()?;
    let (recorded, texts) = rules()?;
    for (file, text) in &texts {
        check_named(&file.to_string_lossy(), text, &families, &recorded)?;
    }
    for dashboard in dashboard::all()? {
        for question in dashboard.written() {
            let place = format!("{}, {}", dashboard.file, question.panel);
            check_named(&place, &question.expression, &families, &recorded)?;
        }
    }
    Ok(())
}

#[test]
fn a_family_that_nobody_has_is_found() {
    let families = BTreeSet::from(["marty_grpc_requests_total".to_owned()]);
    let check = |expression| check_named("here", expression, &families, &BTreeSet::new());
    assert!(check("rate(marty_grpc_requests_total{status=\"marty_x\"}[5m])").is_ok());
    assert!(check("rate(marty_grpc_request_total[5m])").is_err());
    assert!(check("service:nothing:rate5m > 1").is_err());
}

#[test]
fn dashboards_are_ones_of_grafana() -> Result<()> {
    let mut uids = BTreeSet::new();
    for dashboard in dashboard::all()? {
        let (file, document) = (&dashboard.file, &dashboard.document);
        let uid = document["uid"].as_str().unwrap_or_default();
        ensure!(file == &format!("{uid}.json"), "{file}: its uid is {uid}");
        ensure!(uids.insert(uid.to_owned()), "{uid} is there twice");
        ensure!(
            document["refresh"] == "30s" && document["time"]["from"] == "now-1h",
            "{file}: the pace"
        );
        let mut ids = BTreeSet::new();
        for panel in dashboard.panels() {
            let title = panel["title"].as_str().unwrap_or_default();
            ensure!(
                !title.is_empty() && ids.insert(panel["id"].to_string()),
                "{file}: {panel}"
            );
            let (x, width) = (&panel["gridPos"]["x"], &panel["gridPos"]["w"]);
            let right = x.as_u64().zip(width.as_u64()).map_or(0, |(x, width)| x + width);
            ensure!((1..=24).contains(&right), "{file}: {title} lies beside the page");
            ensure!(
                panel["type"] == "row"
                    || panel["targets"]
                        .as_array()
                        .is_some_and(|targets| !targets.is_empty()),
                "{file}: {title} asks nothing"
            );
        }
    }
    ensure!(uids.len() == 4, "{uids:?}");
    Ok(())
}
