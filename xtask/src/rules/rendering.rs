//! Objectives to recording rules and alerts. Names: `sli:NAME:rateWINDOW` is the part of good calls,
//! `slo:NAME:error_budget_remaining` what is left of the budget (1: all, 0: nothing, below: overdrawn).

use super::HEAD;
use super::objective::{Burn, Objective, number};

/// What would be 5xx in HTTP, by gRPC's own mapping: the server is at fault.
pub const FAULTS: &str = "UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS";

/// Windows that the alerts need, besides that of the objective and the five minutes that all are made of.
const WINDOWS: [&str; 6] = ["30m", "1h", "2h", "6h", "1d", "3d"];

/// Where pages of alerts are; the chart replaces it.
const RUNBOOKS: &str = "https://runbooks.example/marty-observer";

pub fn rules(objectives: &[Objective]) -> String {
    let mut text = format!("{HEAD}groups:\n");
    for objective in objectives {
        recording(&mut text, objective);
        alerts(&mut text, objective);
    }
    text
}

fn recording(text: &mut String, objective: &Objective) {
    let name = &objective.name;
    group(text, objective, "recording");
    let (total, bad) = rates(objective);
    record(text, &format!("sli:{name}:total_rate5m"), &total);
    record(text, &format!("sli:{name}:bad_rate5m"), &bad);
    let good = format!("1 - sli:{name}:bad_rate5m / (sli:{name}:total_rate5m > 0)");
    record(text, &format!("sli:{name}:rate5m"), &good);
    let window = objective.window();
    for window in WINDOWS.into_iter().chain([window.as_str()]) {
        let over = format!(
            "1 - sum_over_time(sli:{name}:bad_rate5m[{window}]) / (sum_over_time(sli:{name}:total_rate5m[{window}]) > 0)"
        );
        record(text, &format!("sli:{name}:rate{window}"), &over);
    }
    let objective_ratio = number(objective.percent / 100.0);
    record(
        text,
        &format!("slo:{name}:objective"),
        &format!("vector({objective_ratio})"),
    );
    let burnt = format!("(1 - sli:{name}:rate{window}) / {}", objective.budget_text());
    record(
        text,
        &format!("slo:{name}:error_budget_remaining"),
        &format!("1 - {burnt}"),
    );
    let speed = format!("(1 - sli:{name}:rate1h) / {}", objective.budget_text());
    record(text, &format!("slo:{name}:burn_rate1h"), &speed);
}

/// Calls a second, all and bad ones, over five minutes. Calls whose end was not seen are in neither.
fn rates(objective: &Objective) -> (String, String) {
    let total = format!("sli:{}:total_rate5m", objective.name);
    if let Some(under) = objective.under {
        let (all, good) = (
            selector(objective, None),
            selector(objective, Some(&format!("le=\"{under:?}\""))),
        );
        return (
            format!("sum(rate(marty_grpc_request_duration_seconds_count{all}[5m]))"),
            format!(
                "clamp_min({total} - sum(rate(marty_grpc_request_duration_seconds_bucket{good}[5m])), 0)"
            ),
        );
    }
    let all = selector(objective, Some("status!=\"_unobserved\""));
    let bad = selector(objective, Some(&format!("status=~\"{FAULTS}\"")));
    (
        format!("sum(rate(marty_grpc_requests_total{all}[5m]))"),
        format!("sum(rate(marty_grpc_requests_total{bad}[5m])) or {total} * 0"),
    )
}

fn selector(objective: &Objective, more: Option<&str>) -> String {
    let own = objective
        .selectors
        .iter()
        .map(|(label, pattern)| format!("{label}=~\"{}\"", pattern.replace('\\', "\\\\")));
    let all: Vec<String> = own.chain(more.map(str::to_owned)).collect();
    format!("{{{}}}", all.join(", "))
}

fn alerts(text: &mut String, objective: &Objective) {
    group(text, objective, "alerts");
    if let Some(percent) = objective.critical_below {
        critical(text, objective, percent);
    }
    for (burn, factor) in objective.burns() {
        burning(text, objective, *burn, factor);
    }
}

fn critical(text: &mut String, objective: &Objective, percent: f64) {
    let Objective { name, team, .. } = objective;
    let (alert, subject) = (objective.alert(), objective.subject());
    let limit = number(percent / 100.0);
    let percent = number(percent);
    let piece = format!(
        "      - alert: {alert}Critical
        expr: sli:{name}:rate5m < {limit}
        for: 2m
        labels:
          severity: critical
          service: {subject}
          slo: {name}
          team: {team}
        annotations:
          summary: '{name} is below {percent} %'
          description: '{{{{ $value | humanizePercentage }}}} of the calls are good, for more than 2 minutes.'
          runbook_url: {RUNBOOKS}/SloCritical.md
"
    );
    *text += &piece;
}

fn burning(text: &mut String, objective: &Objective, burn: Burn, factor: f64) {
    let Objective { name, team, .. } = objective;
    let (alert, subject, budget) = (objective.alert(), objective.subject(), objective.budget_text());
    let Burn {
        word,
        long,
        short,
        pending,
        severity,
        ..
    } = burn;
    let factor = number(factor);
    let rate = word.to_lowercase();
    let piece = format!(
        "      - alert: {alert}{word}Burn
        expr: |
          (1 - sli:{name}:rate{long}) / {budget} > {factor}
          and
          (1 - sli:{name}:rate{short}) / {budget} > {factor}
        for: {pending}
        labels:
          severity: {severity}
          service: {subject}
          slo: {name}
          team: {team}
          alert_type: slo_burn_rate
          burn_rate: {rate}
        annotations:
          summary: '{name}: the error budget burns {factor} times too fast'
          description: '{{{{ $value | humanize }}}} times faster than allowed over {long}, and over {short} still.'
          runbook_url: {RUNBOOKS}/SloBurn.md
"
    );
    *text += &piece;
}

fn group(text: &mut String, objective: &Objective, kind: &str) {
    let Objective {
        name, description, ..
    } = objective;
    if kind == "recording" {
        let piece = format!("  # {description}\n");
        *text += &piece;
    }
    let piece = format!("  - name: slo.{name}.{kind}\n    interval: 30s\n    rules:\n");
    *text += &piece;
}

fn record(text: &mut String, name: &str, expression: &str) {
    let piece = format!("      - record: {name}\n        expr: {expression}\n");
    *text += &piece;
}
