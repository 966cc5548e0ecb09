//! Tests of the generated rules, for `promtool test rules`: every alert fires, not before its time, keeps quiet a
//! little below its threshold, and ends when the short window is good again.

use super::HEAD;
use super::objective::{Burn, Objective, number};

/// Calls a minute in all tests.
const CALLS: f64 = 6000.0;

/// Far enough from a threshold that rounding does not matter.
const ABOVE: f64 = 1.5;
const BELOW: f64 = 0.7;

pub fn tests(objectives: &[Objective]) -> String {
    let mut text = format!("{HEAD}rule_files: [slo.rules.yaml]\nevaluation_interval: 1m\ntests:\n");
    for objective in objectives {
        budget(&mut text, objective);
        if let Some(percent) = objective.critical_below {
            critical(&mut text, objective, percent);
        }
        for (burn, factor) in objective.burns() {
            burning(&mut text, objective, *burn, factor);
        }
        incident(&mut text, objective);
    }
    text
}

/// Half of what is allowed is spent, at half the speed that is.
fn budget(text: &mut String, objective: &Objective) {
    let name = &objective.name;
    case(text, &format!("{name}: half of the budget"));
    series(text, objective, &[(120, objective.budget() / 2.0)]);
    let target = number(objective.percent / 100.0);
    for (record, value, to) in [
        ("error_budget_remaining", "0.5", 0.001),
        ("burn_rate1h", "0.5", 0.001),
        // To more digits than an objective has.
        ("objective", &target, 0.000_001),
    ] {
        expect(
            text,
            "60m",
            &format!("round(slo:{name}:{record}, {to})"),
            Some(value),
        );
    }
}

fn critical(text: &mut String, objective: &Objective, percent: f64) {
    let alert = format!("{}Critical", objective.alert());
    let limit = 1.0 - percent / 100.0;
    case(text, &format!("{alert} fires"));
    series(text, objective, &[(60, limit * ABOVE)]);
    expect(text, "1m", &firing(&alert), None);
    expect(text, "30m", &firing(&alert), Some("1"));
    case(text, &format!("{alert} keeps quiet"));
    series(text, objective, &[(60, limit * BELOW)]);
    expect(text, "30m", &firing(&alert), None);
}

fn burning(text: &mut String, objective: &Objective, burn: Burn, factor: f64) {
    let alert = format!("{}{}Burn", objective.alert(), burn.word);
    let threshold = factor * objective.budget();
    let pending = minutes(burn.pending);
    let length = pending + 40;
    case(text, &format!("{alert} fires"));
    series(text, objective, &[(length, (threshold * ABOVE).min(1.0))]);
    expect(text, &format!("{}m", pending - 1), &firing(&alert), None);
    expect(text, &format!("{}m", pending + 30), &firing(&alert), Some("1"));
    case(text, &format!("{alert} keeps quiet"));
    series(text, objective, &[(length, threshold * BELOW)]);
    expect(text, &format!("{}m", pending + 30), &firing(&alert), None);
}

/// The first alert of an incident ends when the short window is good, though the long one is not yet.
fn incident(text: &mut String, objective: &Objective) {
    let Some((burn, factor)) = objective.burns().next() else {
        return;
    };
    let alert = format!("{}{}Burn", objective.alert(), burn.word);
    let bad = (factor * objective.budget() * 3.0).min(1.0);
    let short = minutes(burn.short);
    case(text, &format!("{alert} ends with the incident"));
    series(text, objective, &[(60, bad), (120, 0.0)]);
    expect(text, "55m", &firing(&alert), Some("1"));
    let after = 60 + 2 * short + 5;
    expect(text, &format!("{after}m"), &firing(&alert), None);
    let still = format!(
        "((1 - sli:{}:rate{}) / {} > bool {})",
        objective.name,
        burn.long,
        objective.budget_text(),
        number(factor)
    );
    expect(text, &format!("{after}m"), &still, Some("1"));
}

fn firing(alert: &str) -> String {
    format!("count(ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}})")
}

fn case(text: &mut String, name: &str) {
    let piece = format!("  - name: '{name}'\n    interval: 1m\n    input_series:\n");
    *text += &piece;
}

/// Counters of good and bad calls; `phases` are minutes and the part of bad calls in them.
fn series(text: &mut String, objective: &Objective, phases: &[(u32, f64)]) {
    let labels = labels(objective);
    let (good, all) = match objective.under {
        Some(under) => (
            format!("marty_grpc_request_duration_seconds_bucket{{{labels}, le=\"{under:?}\"}}"),
            format!("marty_grpc_request_duration_seconds_count{{{labels}}}"),
        ),
        None => (
            format!("marty_grpc_requests_total{{{labels}, status=\"OK\"}}"),
            format!("marty_grpc_requests_total{{{labels}, status=\"UNAVAILABLE\"}}"),
        ),
    };
    let of_good = counter(phases, |bad| CALLS * (1.0 - bad));
    let of_other = counter(phases, |bad| match objective.under {
        Some(_) => CALLS,
        None => CALLS * bad,
    });
    for (name, values) in [(good, of_good), (all, of_other)] {
        let piece = format!("      - series: '{name}'\n        values: '{values}'\n");
        *text += &piece;
    }
    *text += "    promql_expr_test:\n";
}

/// Labels that the objective's selectors match: patterns are taken apart only as far as ours need.
fn labels(objective: &Objective) -> String {
    let value = |label: &str| {
        let found = objective.selectors.iter().find(|(own, _)| *own == label);
        let pattern = found.map_or("", |(_, pattern)| pattern.as_str());
        pattern
            .replace(".+", "x")
            .replace(".*", "x")
            .replace(['\\', '(', ')', '?'], "")
    };
    let text = ["namespace", "service", "method"].map(|label| {
        let value = value(label);
        let first = value.split('|').next().unwrap_or_default();
        format!("{label}=\"{first}\"")
    });
    text.join(", ")
}

fn counter(phases: &[(u32, f64)], a_minute: impl Fn(f64) -> f64) -> String {
    let mut total = 0.0;
    let mut parts = Vec::new();
    for (length, bad) in phases {
        let step = a_minute(*bad);
        parts.push(format!("{}+{}x{length}", number(total), number(step)));
        total += step * f64::from(length + 1);
    }
    parts.join(" ")
}

fn expect(text: &mut String, at: &str, expression: &str, value: Option<&str>) {
    let piece = format!("      - expr: '{expression}'\n        eval_time: {at}\n");
    *text += &piece;
    match value {
        Some(value) => {
            let piece = format!("        exp_samples: [{{labels: '{{}}', value: {value}}}]\n");
            *text += &piece;
        }
        None => *text += "        exp_samples: []\n",
    }
}

fn minutes(duration: &str) -> u32 {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let factor = match unit {
        "h" => 60,
        "d" => 24 * 60,
        _ => 1,
    };
    number.parse::<u32>().unwrap_or_default() * factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{read, rendering};
    use crate::workspace::Workspace;

    #[test]
    fn every_alert_fires_in_one_test_and_keeps_quiet_in_another() {
        let folder = crate::rules::folder(&Workspace::find().unwrap());
        let objectives = read(&folder.join("slos.yaml")).unwrap();
        let tests = tests(&objectives);
        let cases: Vec<&str> = tests.split("  - name: ").collect();
        let rules = rendering::rules(&objectives);
        let alerts: Vec<&str> = rules
            .lines()
            .filter_map(|line| line.strip_prefix("      - alert: "))
            .collect();
        assert!(alerts.len() > 10, "{alerts:?}");
        for alert in alerts {
            let of = |name: &str| {
                let head = format!("'{alert} {name}'");
                let case = cases.iter().find(|case| case.starts_with(&head));
                let case = case.unwrap_or_else(|| panic!("no test that {alert} {name}"));
                assert!(case.contains(&firing(alert)), "{case}");
                case.matches("exp_samples: [{").count()
            };
            assert_eq!((of("fires"), of("keeps quiet")), (1, 0), "{alert}");
        }
    }

    #[test]
    fn counters_go_on_where_they_were() {
        let text = counter(&[(2, 0.0), (3, 0.5)], |bad| 10.0 * (1.0 - bad));
        assert_eq!(text, "0+10x2 30+5x3");
    }

    #[test]
    fn durations() {
        assert_eq!(["5m", "2h", "1d"].map(minutes), [5, 120, 1440]);
    }
}
