//! What operators install, put together: Prometheus scrapes an observer that sees a service which nobody
//! instrumented; the platform's own queries and every dashboard have answers; an outage reaches the people on call.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::cgroup::Cgroup;
use tests::monitoring::stack::{SERVICE, Stack};
use tests::monitoring::{Servers, dashboard};
use tests::prerequisite::or_skip;
use tests::skip::skipped;
use tests::workload::plan::{Kind, Step};
use tests::workload::tally::Tally;
use tests::workload::{Language, Server};
use tests::{observer, scrape, wait};

/// From a call to its place in an answer of Prometheus: drain, scrape, evaluation, each a second; on a loaded machine.
const ANSWERING: Duration = Duration::from_mins(2);
/// `ServiceDown` waits for a minute, Alertmanager for ten seconds more.
const ALERTING: Duration = Duration::from_mins(4);

const METHOD: &str = "/truth.v1.Truth/Get";

#[test]
fn a_service_that_nobody_instrumented_is_monitored() -> Result<()> {
    let test = "a_service_that_nobody_instrumented_is_monitored";
    let Some(program) = or_skip(test, Language::Rust.prepare()) else {
        return Ok(());
    };
    let Some(_) = or_skip(test, observer::prepare()) else {
        return Ok(());
    };
    let Some(servers) = or_skip(test, Servers::prepare()) else {
        return Ok(());
    };
    let Some(cgroup) = or_skip(test, Cgroup::new()) else {
        return Ok(());
    };
    let (mut stack, service) = Stack::start(&servers, &program, &cgroup)?;
    let made = traffic(&mut stack)?;
    targets_are_up(&stack)?;
    counts_are_right(&stack, &made)?;
    seeds_are_answered(&stack, &made)?;
    dashboards_are_answered(&stack)?;
    rules_are_evaluated(&stack)?;
    scrape_is_clean(&servers, &stack)?;
    outage_is_told(&stack, service)
}

/// Part of the calls that failed, as the platform's documents ask for it.
const FAILED: &str = "sum(rate(marty_grpc_errors_total{service=\"SERVICE\"}[5m])) / \
                      sum(rate(marty_grpc_requests_total{service=\"SERVICE\"}[5m]))";

/// Calls with a known outcome, until Prometheus has seen some of them in more than one scrape.
fn traffic(stack: &mut Stack) -> Result<Tally> {
    let mut made = Tally::new("all", "");
    let database = [Step::new(Kind::Unary, METHOD, 5)];
    stack.database_client().run(database)?;
    let failing = |status, count| Step {
        status,
        ..Step::new(Kind::Unary, METHOD, count)
    };
    // What was counted before the first scrape is in no rate, and rates are continued beyond the first and the last: it
    // goes on until that no longer matters.
    let question = format!(
        "count_over_time(marty_grpc_errors_total{{service=\"{SERVICE}\", error_type=\"UNAVAILABLE\"}}[5m])"
    );
    wait::until(ANSWERING, || {
        // 5: NOT_FOUND, 14: UNAVAILABLE.
        let steps = [Step::new(Kind::Unary, METHOD, 90), failing(5, 6), failing(14, 4)];
        let more = stack.client.run(steps).map_err(|error| format!("{error:#}"))?;
        made.add(&more);
        match stack.prometheus.value(&question) {
            Ok(scrapes) if scrapes >= 20.0 => Ok(()),
            Ok(scrapes) => Err(format!("{scrapes} scrapes")),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .with_context(|| stack.report())?;
    Ok(made)
}

fn targets_are_up(stack: &Stack) -> Result<()> {
    wait::until(ANSWERING, || {
        let targets = stack.prometheus.targets().map_err(|error| error.to_string())?;
        let down: Vec<_> = targets.iter().filter(|(_, health, _)| health != "up").collect();
        if down.is_empty() && targets.len() == 4 {
            return Ok(());
        }
        Err(format!("{targets:?}"))
    })
}

/// The counts in Prometheus are those of the application, under the service's own labels.
fn counts_are_right(stack: &Stack, made: &Tally) -> Result<()> {
    let Some(tally) = made.methods.get(METHOD) else {
        anyhow::bail!("no calls were made");
    };
    for (status, count) in &tally.ended {
        let question = format!(
            "marty_grpc_requests_total{{job=\"marty-observer\", service=\"{SERVICE}\", method=\"{METHOD}\", status=\"{status}\"}}"
        );
        expect(stack, &question, number(*count)?, 0.0)?;
    }
    let clash = stack
        .prometheus
        .query("{exported_service!=\"\"} or {exported_pod!=\"\"}")?;
    ensure!(clash.is_empty(), "labels of the target won: {clash:?}");
    Ok(())
}

/// The queries of the platform's documents, with the values that they must have.
fn seeds_are_answered(stack: &Stack, made: &Tally) -> Result<()> {
    let ended = |status: &str| {
        let all = made.methods.values();
        number(
            all.map(|of| of.ended.get(status).copied().unwrap_or_default())
                .sum(),
        )
    };
    let (not_found, unavailable, all) = (ended("NOT_FOUND")?, ended("UNAVAILABLE")?, number(made.ended())?);
    let of = format!("{{service=\"{SERVICE}\"}}");
    let failed = (not_found + unavailable) / all;
    for (question, value, within) in [
        (format!("marty_service_health_status{of}"), 1.0, 0.0),
        (
            format!("sum(marty_grpc_errors_total{of})"),
            not_found + unavailable,
            0.0,
        ),
        (FAILED.replace("SERVICE", SERVICE), failed, 0.03),
        (
            format!("service:marty_grpc_errors:ratio_rate5m{of}"),
            failed,
            0.03,
        ),
        // NOT_FOUND is the caller's; of all services, of which the database answered well.
        (
            "1 - sli:platform_availability:rate5m".to_owned(),
            unavailable / all,
            0.03,
        ),
        (
            "sum(marty_database_connections_active{database=\"postgresql\"}) > bool 0".to_owned(),
            1.0,
            0.0,
        ),
        (
            format!("time() - marty_last_successful_operation_timestamp{of} < bool 120"),
            1.0,
            0.0,
        ),
        (
            format!(
                "histogram_quantile(0.95, sum by (le) (rate(marty_grpc_request_duration_seconds_bucket{of}[5m]))) < bool 5"
            ),
            1.0,
            0.0,
        ),
        (
            format!("count(rate(marty_grpc_requests_total{of}[5m]))"),
            3.0,
            0.0,
        ),
    ] {
        expect(stack, &question, value, within)?;
    }
    Ok(())
}

/// A count as Prometheus has it.
fn number(count: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(count)?))
}

fn expect(stack: &Stack, question: &str, value: f64, within: f64) -> Result<()> {
    wait::until(ANSWERING, || match stack.prometheus.value(question) {
        Ok(found) if (found - value).abs() <= within => Ok(()),
        Ok(found) => Err(format!("{question}: {found}, not {value}")),
        Err(error) => Err(format!("{error:#}")),
    })
}

/// Series that only a kernel has which was told to count.
const PROGRAM_RUNS: &str = "marty_observer_program_run";

/// Whether the kernel counts the runs of its programs. It costs every program of the machine some time: not ours to turn on.
fn runs_are_counted() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").is_ok_and(|text| text.trim() == "1")
}

/// The one question that has no answer everywhere; where it has, it is asked with the others.
#[test]
fn program_runs_are_answered() {
    if !runs_are_counted() {
        skipped(
            "program_runs_are_answered",
            "kernel.bpf_stats_enabled is 0: the panel of the programs' time has no data",
        );
    }
}

/// What has to have an answer for a panel to be worth something. A panel that shows 0 where there is nothing to count (`or
/// vector(0)`) always has one: what it counts is asked for, whatever its state.
fn counted(expression: &str) -> String {
    let Some(left) = expression.strip_suffix(" or vector(0)") else {
        return expression.to_owned();
    };
    left.replace(" == 0)", ")")
        .replace("alertstate=\"firing\"", "alertstate=~\"pending|firing\"")
}

#[test]
fn nothing_to_count() {
    assert_eq!(counted("count(up == 0) or vector(0)"), "count(up)");
    assert_eq!(counted("sum(a == 0) / sum(b)"), "sum(a == 0) / sum(b)");
}

fn dashboards_are_answered(stack: &Stack) -> Result<()> {
    let dashboards = dashboard::all()?;
    ensure!(dashboards.len() == 4, "{} dashboards", dashboards.len());
    let mut asked = 0;
    for dashboard in dashboards {
        for question in dashboard.asked("1m") {
            if question.expression.contains(PROGRAM_RUNS) && !runs_are_counted() {
                continue;
            }
            asked += 1;
            let expression = counted(&question.expression);
            let found = wait::until(ANSWERING, || {
                let answer = stack.prometheus.query(&expression);
                let answer = answer.map_err(|error| format!("{error:#}"))?;
                // Of several series some may stand still: a part of no calls is no number.
                if answer.iter().any(|sample| sample.value.is_finite()) {
                    return Ok(());
                }
                Err(format!("no number: {answer:?}"))
            });
            found.with_context(|| format!("{}, {}: {expression}", dashboard.file, question.panel))?;
        }
    }
    ensure!(asked > 80, "only {asked} questions");
    println!("{asked} questions of dashboards were answered with numbers");
    Ok(())
}

fn rules_are_evaluated(stack: &Stack) -> Result<()> {
    wait::until(ANSWERING, || {
        let rules = stack.prometheus.rules().map_err(|error| format!("{error:#}"))?;
        let wrong = rules.iter().find(|rule| rule["health"] != "ok");
        match wrong {
            None if rules.len() > 100 => Ok(()),
            None => Err(format!("only {} rules", rules.len())),
            Some(rule) => Err(format!(
                "{} is {}: {}",
                rule["name"], rule["health"], rule["lastError"]
            )),
        }
    })
}

/// `promtool check metrics` has nothing to say.
fn scrape_is_clean(servers: &Servers, stack: &Stack) -> Result<()> {
    let (_, page) = scrape::get(stack.observer.address(), "/metrics")?;
    let mut promtool = Command::new(servers.program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = promtool.stdin.take().context("no standard input")?;
    std::io::Write::write_all(&mut input, page.as_bytes())?;
    drop(input);
    let output = promtool.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(
        output.status.success() && said.is_empty(),
        "promtool: {}",
        String::from_utf8_lossy(&said)
    );
    Ok(())
}

/// The service ends; whoever is on call hears of it, with its name and a way to help.
fn outage_is_told(stack: &Stack, service: Server) -> Result<()> {
    service.stop()?;
    for receiver in ["pagerduty", "slack-critical"] {
        let told = wait::until(ALERTING, || {
            let told = stack.webhook.told("ServiceDown").into_iter();
            told.filter(|told| told.labels["service"] == SERVICE && told.status == "firing")
                .find(|told| told.receiver == receiver)
                .ok_or_else(|| format!("nobody told {receiver}"))
        });
        let told = told.with_context(|| stack.report())?;
        ensure!(told.labels["severity"] == "critical", "{}", told.labels);
        let annotations = &told.annotations;
        ensure!(
            annotations["summary"] == format!("{SERVICE} is down"),
            "{annotations}"
        );
        let runbook = annotations["runbook_url"].as_str().unwrap_or_default();
        ensure!(runbook.ends_with("/ServiceDown.md"), "{annotations}");
    }
    Ok(())
}
