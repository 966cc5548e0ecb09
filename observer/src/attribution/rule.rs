//! The rules of the configuration (`services:`) that name services. What they are matched against is gathered by
//! the resolver; what they look like in YAML is the configuration's.

use std::collections::BTreeMap;

use super::glob;

/// A service matches when all conditions that are given hold. A rule without conditions matches nothing: it would
/// otherwise name the whole node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRule {
    pub name: String,
    /// A port that the service listens on. Its own calls to others are recognised too, by what else its process or
    /// cgroup listens on.
    pub port: Option<u16>,
    /// Pattern for the systemd unit, with or without `.service`.
    pub unit: Option<String>,
    /// Pattern for the process name.
    pub process: Option<String>,
    /// Pattern for the arguments, joined by blanks.
    pub command_line: Option<String>,
    /// Pattern for the cgroup path.
    pub cgroup: Option<String>,
    /// Labels of the pod or container, and the patterns for their values.
    pub label: Vec<(String, String)>,
}

/// Rules in their order; the first that matches names the service.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<ServiceRule>);

/// What is known about the owner of a socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    pub ports: &'a [u16],
    pub unit: Option<&'a str>,
    pub process: Option<&'a str>,
    pub command_line: Option<&'a str>,
    pub cgroup: Option<&'a str>,
    pub labels: Option<&'a BTreeMap<String, String>>,
}

impl Rules {
    pub fn new(rules: Vec<ServiceRule>) -> Self {
        Self(rules)
    }

    pub fn name(&self, subject: &Subject<'_>) -> Option<&str> {
        self.0
            .iter()
            .find(|rule| rule.matches(subject))
            .map(|rule| rule.name.as_str())
    }

    /// Whether any rule looks at the process: it need not be asked for otherwise.
    pub fn ask_process(&self) -> bool {
        self.0
            .iter()
            .any(|rule| rule.process.is_some() || rule.command_line.is_some())
    }

    pub fn ask_port(&self) -> bool {
        self.0.iter().any(|rule| rule.port.is_some())
    }
}

impl ServiceRule {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        let Self {
            name: _,
            port,
            unit,
            process,
            command_line,
            cgroup,
            label,
        } = self;
        let pattern = |pattern: &Option<String>, text: Option<&str>| match (pattern, text) {
            (None, _) => None,
            (Some(pattern), Some(text)) => Some(glob::matches(pattern, text)),
            (Some(_), None) => Some(false),
        };
        let conditions = [
            port.map(|port| subject.ports.contains(&port)),
            pattern(
                &unit
                    .as_deref()
                    .map(|unit| unit.trim_end_matches(".service").to_owned()),
                subject.unit,
            ),
            pattern(process, subject.process),
            pattern(command_line, subject.command_line),
            pattern(cgroup, subject.cgroup),
            (!label.is_empty()).then(|| {
                label.iter().all(|(key, value)| {
                    subject
                        .labels
                        .and_then(|labels| labels.get(key))
                        .is_some_and(|text| glob::matches(value, text))
                })
            }),
        ];
        let mut given = conditions.into_iter().flatten().peekable();
        given.peek().is_some() && given.all(|holds| holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, change: impl FnOnce(&mut ServiceRule)) -> ServiceRule {
        let mut rule = ServiceRule {
            name: name.to_owned(),
            ..ServiceRule::default()
        };
        change(&mut rule);
        rule
    }

    #[test]
    fn first_match_of_all_conditions() {
        let rules = Rules::new(vec![
            rule("nothing", |_| {}),
            rule("both", |rule| {
                rule.port = Some(8081);
                rule.process = Some("csca*".to_owned());
            }),
            rule("port", |rule| rule.port = Some(8081)),
            rule("unit", |rule| rule.unit = Some("trust-*.service".to_owned())),
            rule("arguments", |rule| {
                rule.command_line = Some("*server.py*".to_owned());
            }),
            rule("group", |rule| rule.cgroup = Some("/batch.slice/*".to_owned())),
            rule("label", |rule| {
                rule.label = vec![("team".to_owned(), "pki*".to_owned())];
            }),
        ]);
        let check = |subject: Subject<'_>, expected: Option<&str>| {
            assert_eq!(rules.name(&subject), expected, "{subject:?}");
        };
        let ports = &[9000, 8081];
        check(
            Subject {
                ports,
                process: Some("csca-server"),
                ..Subject::default()
            },
            Some("both"),
        );
        check(
            Subject {
                ports,
                process: Some("other"),
                ..Subject::default()
            },
            Some("port"),
        );
        check(
            Subject {
                ports,
                ..Subject::default()
            },
            Some("port"),
        );
        check(
            Subject {
                unit: Some("trust-anchor"),
                ..Subject::default()
            },
            Some("unit"),
        );
        check(
            Subject {
                command_line: Some("python3 /srv/server.py -v"),
                ..Subject::default()
            },
            Some("arguments"),
        );
        check(
            Subject {
                cgroup: Some("/batch.slice/x"),
                ..Subject::default()
            },
            Some("group"),
        );
        let labels = BTreeMap::from([("team".to_owned(), "pki-core".to_owned())]);
        check(
            Subject {
                labels: Some(&labels),
                ..Subject::default()
            },
            Some("label"),
        );
        check(Subject::default(), None);
    }
}
