//! Settings from all their places at once, and every mistake with its place.

use std::io::Write as _;

use proptest::prelude::*;

use super::resolve::Flags;
use super::*;

/// A settings file that goes with the test, called `observer.yaml` in messages.
struct File(tempfile::TempDir);

impl File {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = std::fs::File::create(folder.path().join("observer.yaml")).expect("a file");
        file.write_all(text.as_bytes()).expect("write");
        Self(folder)
    }

    fn said(&self, flags: &[(&'static str, &str)], variables: &[(&str, &str)]) -> Said {
        let mut said = said(flags, variables);
        let path = self.0.path().join("observer.yaml").display().to_string();
        said.flags.insert("config", path);
        said
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn said(flags: &[(&'static str, &str)], variables: &[(&str, &str)]) -> Said {
    Said {
        flags: flags
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect::<Flags>(),
        environment: variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    }
}

fn mistakes(text: &str, expected: &[&str]) {
    let file = File::new(text);
    let found = resolve(&file.said(&[], &[]))
        .expect_err("must be refused")
        .to_string();
    let found = file.shown(&found);
    let lines: Vec<_> = found.lines().skip(1).map(str::trim).collect();
    assert_eq!(lines, expected, "of\n{text}");
}

#[test]
fn nothing_said_is_the_default() {
    let (config, _) = resolve(&Said::default()).expect("defaults");
    assert_eq!(config, Config::default());
}

#[test]
fn every_default_of_the_table_can_be_read() {
    // By their own flags, so that a default that cannot be read is a mistake instead of a fallback.
    let flags = table::ALL.iter().filter(|about| !about.default.is_empty());
    let flags: Vec<_> = flags.map(|about| (about.name, about.default)).collect();
    assert_eq!(
        resolve(&said(&flags, &[])).expect("defaults").0,
        Config::default()
    );
}

#[test]
fn flag_over_variable_over_file_over_default() {
    let file = File::new("log_format: json\nmax_methods: 7\nlisten: 127.0.0.1:3\n");
    let said = file.said(
        &[("listen", "127.0.0.1:1")],
        &[
            ("MARTY_OBSERVER_LISTEN", "127.0.0.1:2"),
            ("MARTY_OBSERVER_MAX_METHODS", "8"),
        ],
    );
    let (config, effective) = resolve(&said).expect("fine");
    assert_eq!(
        (config.listen.port(), config.max_methods, config.log_format),
        (1, 8, LogFormat::Json)
    );
    let shown = file.shown(&effective.to_string());
    for (line, from) in [
        ("listen: \"127.0.0.1:1\"", "# --listen"),
        ("max_methods: 8", "# MARTY_OBSERVER_MAX_METHODS"),
        ("log_format: json", "# observer.yaml:1"),
        ("max_series: 50000", "# default"),
        ("# cgroup_path:", "# default"),
    ] {
        assert!(
            shown
                .lines()
                .any(|have| have.starts_with(line) && have.ends_with(from)),
            "{line} {from}\n{shown}"
        );
    }
}

#[test]
fn what_is_in_effect_can_be_a_file_again() {
    let file = File::new(
        "buckets: [0.5, 1]\nlabels: {pod: false}\ndatabase_ports: {redis: [], oracle: [1521]}\nservices:\n  - service: \"a: b\"\n    \
         port: 1\n    label: {app.kubernetes.io/name: x}\n  - {service: c, unit: c.service, process: p, cgroup: /x, command_line: 'a * b'}\n",
    );
    let (config, effective) = resolve(&file.said(&[], &[])).expect("fine");
    assert_eq!(config.structured.services.len(), 2);
    let again = File::new(&effective.to_string());
    assert_eq!(resolve(&again.said(&[], &[])).expect("fine").0, config);
}

#[test]
fn examples_for_operators() {
    let file = File::new(include_str!("../../../deploy/examples/marty-services.yaml"));
    let (config, _) = resolve(&file.said(&[], &[])).expect("no mistakes");
    let rules: Vec<_> = config
        .structured
        .services
        .iter()
        .map(|rule| (rule.name.as_str(), rule.port))
        .collect();
    assert_eq!(rules.len(), 8);
    assert_eq!(rules.first(), Some(&("csca-service", Some(8081))));
}

#[cfg(feature = "kubernetes")]
#[test]
fn who_is_asked_for_pods() {
    let check = |flags: &[(&'static str, &str)], in_cluster, expected: Option<(bool, Option<&str>)>| {
        let (config, _) = resolve(&said(flags, &[("MARTY_OBSERVER_NODE_NAME", "n1")])).expect("settings");
        let asked = config.informer_settings(in_cluster);
        assert!(asked.iter().all(|settings| settings.node == "n1"));
        let asked = asked.map(|settings| (settings.api, settings.kubelet.map(|kubelet| kubelet.address)));
        let expected = expected.map(|(api, kubelet)| (api, kubelet.map(str::to_owned)));
        assert_eq!(asked, expected, "{flags:?} {in_cluster}");
    };
    let kubelet = ("kubelet", "https://10.0.0.1:10250");
    check(&[], false, None);
    check(&[], true, Some((true, None)));
    check(&[kubelet], false, Some((false, Some(kubelet.1))));
    check(&[kubelet], true, Some((true, Some(kubelet.1))));
    check(&[("kubernetes", "off"), kubelet], true, None);
    check(&[("kubernetes", "api")], false, Some((true, None)));
    check(
        &[("kubernetes", "kubelet")],
        true,
        Some((false, Some("https://127.0.0.1:10250"))),
    );
    check(
        &[("kubernetes", "kubelet"), kubelet],
        true,
        Some((false, Some(kubelet.1))),
    );
}

#[test]
fn all_mistakes_in_one_run() {
    let file = File::new("lissen: x\nlog_format: xml\n");
    let said = file.said(
        &[("listen", "nowhere")],
        &[
            ("MARTY_OBSERVER_MAX_SERIES", "1"),
            ("MARTY_OBSERVER_NONSENSE_XYZ", "1"),
        ],
    );
    let found = file.shown(&resolve(&said).expect_err("must be refused").to_string());
    assert_eq!(
        found,
        "5 mistakes in the configuration:\n  \
         MARTY_OBSERVER_NONSENSE_XYZ: unknown; the nearest known name is `MARTY_OBSERVER_NODE_NAME`\n  \
         observer.yaml:1: lissen: unknown; the nearest known name is `listen`\n  \
         --listen: `nowhere` is not an address; write IP:PORT, [IPV6]:PORT or :PORT\n  \
         observer.yaml:2: log_format: `xml` is none of text, json\n  \
         MARTY_OBSERVER_MAX_SERIES: `1` is not a number between 100 and 1000000"
    );
}

#[test]
fn an_overruled_mistake_is_a_mistake() {
    let file = File::new("listen: nowhere\n");
    let found = resolve(&file.said(&[("listen", ":1")], &[])).expect_err("must be refused");
    assert_eq!(found.len(), 1);
}

#[test]
fn mistakes_of_single_values() {
    mistakes(
        "listen: [a]\nring_bytes: 70000\nseries_idle: 5s\nnode_name: a b\nmetrics_enabled: yes\nkubernetes: maybe\n",
        &[
            "observer.yaml:1: listen: must be a single value, not a list",
            "observer.yaml:5: metrics_enabled: `yes` is neither true nor false",
            "observer.yaml:3: series_idle: `5s` is not a duration between 1m and 720h; write for example 500ms, 90s, 15m, 1h",
            "observer.yaml:2: ring_bytes: `70000` is not a power of two",
            "observer.yaml:6: kubernetes: `maybe` is none of auto, api, kubelet, off",
            "observer.yaml:4: node_name: `a b` is not a node name (letters, digits, `-`, `.`, 253 at most)",
        ],
    );
}

#[test]
fn addresses_of_kubelets() {
    let check = |text: &str, expected: Option<&str>| {
        let found = (table::KUBELET.parse)(text);
        assert_eq!(found.err().as_deref(), expected, "{text}");
    };
    check("https://node-7:10250", None);
    check("http://127.0.0.1:10255", None);
    check("http://[::1]:10255/", None);
    check("http://localhost", None);
    let in_the_clear = |text: &str| {
        format!(
            "`{text}`: only this machine is asked without encryption (http://127.0.0.1:10255); expected https://NODE:10250"
        )
    };
    for text in [
        "http://10.0.0.1:10255",
        "http://localhost.example.com",
        "http://127.0.0.1@10.0.0.1",
    ] {
        check(text, Some(&in_the_clear(text)));
    }
    for text in ["https://", "node-7:10250", "ftp://node-7", "https://a b"] {
        check(
            text,
            Some(&format!(
                "`{text}` is no address of a kubelet; expected https://NODE:10250"
            )),
        );
    }
}

#[test]
fn mistakes_of_structured_values() {
    mistakes(
        "buckets: [1, x]\nlabels: {node: true, pod: maybe}\ndatabase_ports: {redis: [0], mysql: 3306}\nlisten: :1\nlisten: :2\n",
        &[
            "observer.yaml:5: listen: is there already, in line 4",
            "observer.yaml:1: buckets: `x` is not a number",
            "observer.yaml:2: labels.node: unknown",
            "observer.yaml:2: labels.pod: `maybe` is neither true nor false",
            "observer.yaml:3: database_ports.redis: `0` is not a port (1 to 65535)",
            "observer.yaml:3: database_ports.mysql: must be a list, not a single value",
        ],
    );
    mistakes(
        "buckets: [2, 1]\n",
        &["observer.yaml:1: buckets: 1 does not come after 2; bounds go up"],
    );
    mistakes(
        "buckets:\n",
        &["observer.yaml:1: buckets: at least one bucket is needed"],
    );
    mistakes(
        "labels: on\n",
        &["observer.yaml:1: labels: must be a mapping, not a single value"],
    );
    let many = format!("services: [{}]\n", "{service: a, port: 1},".repeat(1001));
    mistakes(
        &many,
        &["observer.yaml:1: services: 1001 entries are too many; at most 1000"],
    );
    let databases: Vec<_> = (0..65).map(|index| format!("\n  d{index}: [1]")).collect();
    let expected = "observer.yaml:2: database_ports: 65 entries are too many; at most 64";
    mistakes(&format!("database_ports:{}\n", databases.concat()), &[expected]);
}

#[test]
fn mistakes_of_rules() {
    mistakes(
        "services:\n  - service: a\n  - port: 1\n  - service: b\n    prot: 1\n  - {service: c, port: 70000}\n  - {service: \"\", unit: u}\n  - x\n  - {service: d, label: {a: }}\n",
        &[
            "observer.yaml:2: services[0]: has no condition (port, unit, process, command_line, cgroup or label)",
            "observer.yaml:3: services[1]: has no `service`, the name to give",
            "observer.yaml:5: services[2].prot: unknown; the nearest known name is `port`",
            "observer.yaml:6: services[3].port: `70000` is not a port (1 to 65535)",
            "observer.yaml:7: services[4].service: must not be empty",
            "observer.yaml:8: services[5]: must be a mapping, not a single value",
            "observer.yaml:9: services[6].label.a: must be a single value, not nothing",
        ],
    );
}

#[test]
fn mistakes_of_the_file() {
    mistakes(
        "a: [\n",
        &["observer.yaml:2: not YAML: while parsing a node, did not find expected node content"],
    );
    mistakes("- a\n", &["observer.yaml:1: must be a mapping, not a list"]);
    let absent = resolve(&said(&[("config", "no/such/file.yaml")], &[]))
        .expect_err("must be refused")
        .to_string();
    assert!(
        absent.contains("--config: cannot open no/such/file.yaml: No such file"),
        "{absent}"
    );
    let folder = resolve(&said(&[], &[("MARTY_OBSERVER_CONFIG", "src")]))
        .expect_err("must be refused")
        .to_string();
    assert!(
        folder.contains("MARTY_OBSERVER_CONFIG: cannot read src: Is a directory"),
        "{folder}"
    );
    let endless = resolve(&said(&[("config", "/dev/zero")], &[]))
        .expect_err("must be refused")
        .to_string();
    let expected = "--config: /dev/zero is larger than 1048576 bytes; this cannot be the settings file";
    assert!(endless.contains(expected), "{endless}");
}

#[test]
fn an_empty_file_says_nothing() {
    let file = File::new("# nothing yet\n");
    assert_eq!(resolve(&file.said(&[], &[])).expect("fine").0, Config::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_gets_an_answer(text in "((listen|services|labels|buckets|port|a)(: | :|:\n  )(\\[|\\{|x|1|- |\\}|\\])*\n?){0,8}") {
        let file = File::new(&text);
        let _ = resolve(&file.said(&[], &[]));
    }
}
