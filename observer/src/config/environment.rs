//! Settings from environment variables: `MARTY_OBSERVER_<NAME>`. An empty variable is as if it were not there, because
//! compose files and charts set variables to nothing.

use std::collections::HashMap;
use std::ffi::OsString;

use super::mistake::{Mistakes, Place, unknown_key};
use super::table;

const PREFIX: &str = "MARTY_OBSERVER_";
/// Older than the observer: what services that were instrumented by hand are switched off with.
const METRICS_ENABLED: &str = "MARTY_METRICS_ENABLED";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub value: String,
}

/// By the setting's name.
pub fn read(environment: &[(OsString, OsString)], mistakes: &mut Mistakes) -> HashMap<String, Variable> {
    let mut found: HashMap<String, Variable> = HashMap::new();
    let known: Vec<(String, &str)> = table::ALL
        .iter()
        .map(|about| (about.variable(), about.name))
        .collect();
    for (name, value) in environment {
        let Some(name) = name
            .to_str()
            .filter(|name| name.starts_with(PREFIX) || *name == METRICS_ENABLED)
        else {
            continue;
        };
        if value.is_empty() || is_service_link(name) {
            continue;
        }
        let place = || Place::Environment(name.to_owned());
        let setting = known
            .iter()
            .find(|(variable, _)| variable == name)
            .map(|(_, setting)| *setting);
        let setting = setting.or((name == METRICS_ENABLED).then_some(table::METRICS.about.name));
        match (setting, value.to_str()) {
            (None, _) => mistakes.add(
                place(),
                unknown_key(name, known.iter().map(|(name, _)| name.as_str())),
            ),
            (Some(_), None) => mistakes.add(place(), "is not UTF-8"),
            // Said twice, the longer name wins.
            (Some(setting), Some(_)) if name == METRICS_ENABLED && found.contains_key(setting) => {}
            (Some(setting), Some(value)) => {
                let variable = Variable {
                    name: name.to_owned(),
                    value: value.to_owned(),
                };
                found.insert(setting.to_owned(), variable);
            }
        }
    }
    found
}

/// Kubernetes sets such variables in every pod when there is a Service called `marty-observer`; they are no settings.
fn is_service_link(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    ["SERVICE_HOST", "SERVICE_PORT", "PORT"].contains(&rest)
        || rest.starts_with("SERVICE_PORT_")
        || rest
            .strip_prefix("PORT_")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], setting: &str, expected: Option<&str>, mistakes: &[&str]) {
        let environment: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let mut found = Mistakes::default();
        let read = read(&environment, &mut found);
        assert_eq!(
            read.get(setting).map(|variable| variable.value.as_str()),
            expected,
            "{variables:?}"
        );
        for mistake in mistakes {
            assert!(found.to_string().contains(mistake), "{found}");
        }
        assert_eq!(found.len(), mistakes.len(), "{found}");
    }

    #[test]
    fn a_setting() {
        check(
            &[("MARTY_OBSERVER_LOG_FORMAT", "json"), ("PATH", "/bin")],
            "log-format",
            Some("json"),
            &[],
        );
        check(
            &[("MARTY_OBSERVER_WEB_CONFIG_FILE", "w.yml")],
            "web.config.file",
            Some("w.yml"),
            &[],
        );
    }

    #[test]
    fn empty_is_absent() {
        check(&[("MARTY_OBSERVER_LISTEN", "")], "listen", None, &[]);
    }

    #[test]
    fn metrics_switch_of_the_instrumented_services() {
        check(
            &[("MARTY_METRICS_ENABLED", "false")],
            "metrics-enabled",
            Some("false"),
            &[],
        );
        let both = [
            ("MARTY_METRICS_ENABLED", "false"),
            ("MARTY_OBSERVER_METRICS_ENABLED", "true"),
        ];
        check(&both, "metrics-enabled", Some("true"), &[]);
        check(&[both[1], both[0]], "metrics-enabled", Some("true"), &[]);
    }

    #[test]
    fn unknown_names() {
        let mistake = "MARTY_OBSERVER_LISSEN: unknown; the nearest known name is `MARTY_OBSERVER_LISTEN`";
        check(&[("MARTY_OBSERVER_LISSEN", "x")], "listen", None, &[mistake]);
    }

    #[test]
    fn links_to_a_service_of_our_name() {
        let links = [
            ("MARTY_OBSERVER_SERVICE_HOST", "10.0.0.1"),
            ("MARTY_OBSERVER_SERVICE_PORT", "9464"),
            ("MARTY_OBSERVER_SERVICE_PORT_METRICS", "9464"),
            ("MARTY_OBSERVER_PORT", "tcp://10.0.0.1:9464"),
            ("MARTY_OBSERVER_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ];
        check(&links, "listen", None, &[]);
    }

    #[cfg(unix)]
    #[test]
    fn not_text() {
        use std::os::unix::ffi::OsStringExt as _;
        let mut mistakes = Mistakes::default();
        read(
            &[("MARTY_OBSERVER_LISTEN".into(), OsString::from_vec(vec![0xff]))],
            &mut mistakes,
        );
        assert!(
            mistakes
                .to_string()
                .contains("MARTY_OBSERVER_LISTEN: is not UTF-8"),
            "{mistakes}"
        );
    }
}
