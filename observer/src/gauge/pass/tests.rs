//! A pass over made-up cgroups and processes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::attribution::catalog::tests::pod;
use crate::attribution::container_name::Runtimes;
use crate::attribution::roster::Account;
use crate::attribution::rule::ServiceRule;

mod live;

/// A node with pods, made of files.
pub struct Machine {
    folder: tempfile::TempDir,
    catalog: Arc<RwLock<Catalog>>,
    roster: Arc<Mutex<Roster>>,
}

fn uid(number: u32) -> String {
    format!("{number:08x}-7d1f-4e0e-9d3a-0f5f6a7b8c9d")
}

impl Machine {
    fn new(layout: &str) -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
            catalog: Arc::default(),
            roster: Arc::default(),
        };
        machine.write("proc/self/status", "NSpid:\t70\t1\n");
        match layout {
            "unified" => machine.write("cgroup/cgroup.controllers", ""),
            "hybrid" => {
                machine.write("cgroup/unified/cgroup.controllers", "");
                machine.write("cgroup/cpuacct/cgroup.procs", "");
                machine.write("cgroup/memory/cgroup.procs", "");
            }
            other => panic!("{other}"),
        }
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn settings(&self) -> Settings {
        Settings {
            proc: self.folder.path().join("proc"),
            cgroups: self.folder.path().join("cgroup"),
            runtimes: Runtimes::default(),
            node: "node1".to_owned(),
            rules: Vec::<ServiceRule>::new(),
        }
    }

    fn collector(&self) -> Collector {
        let ports = Ports::new([]);
        Collector::new(
            self.settings(),
            ports,
            Arc::clone(&self.catalog),
            Arc::clone(&self.roster),
        )
    }

    /// Used seconds, bytes in use and bytes that could go.
    fn unified_books(&self, number: u32, seconds: u64, bytes: u64, inactive: u64) {
        let slice = uid(number).replace('-', "_");
        let path =
            format!("cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice");
        self.write(
            &format!("{path}/cpu.stat"),
            &format!("usage_usec {}\nuser_usec 0\n", seconds * 1_000_000),
        );
        self.write(&format!("{path}/memory.current"), &format!("{bytes}\n"));
        self.write(
            &format!("{path}/memory.stat"),
            &format!("anon 1\ninactive_file {inactive}\n"),
        );
        self.write(
            &format!("{path}/cri-containerd-{number:064x}.scope/cgroup.procs"),
            "",
        );
    }

    fn version_1_books(&self, number: u32, seconds: u64, bytes: u64, inactive: u64) {
        let path = format!("kubepods/burstable/pod{}", uid(number));
        let write = |file: &str, text: String| self.write(&file.replace("POD", &path), &text);
        write(
            "cgroup/cpuacct/POD/cpuacct.usage",
            format!("{}\n", seconds * 1_000_000_000),
        );
        write("cgroup/memory/POD/memory.usage_in_bytes", format!("{bytes}\n"));
        write(
            "cgroup/memory/POD/memory.stat",
            format!("inactive_file 0\ntotal_inactive_file {inactive}\n"),
        );
    }

    fn put(&self, number: u32, ready: bool) {
        let mut pod = pod(&uid(number), &format!("csca-{number}"), &[("app", "csca")]);
        pod.ready = ready;
        self.catalog.write().unwrap().put_pod(pod, Instant::now());
    }
}

fn value(snapshot: &Snapshot, family: Family, pod: &str) -> Option<f64> {
    let mut samples = snapshot.samples.iter().filter(|sample| {
        sample.family == family
            && sample
                .identity
                .as_ref()
                .is_none_or(|identity| &*identity.pod == pod)
    });
    let first = samples.next();
    assert!(samples.next().is_none(), "a series twice: {family:?} {pod}");
    first.map(|sample| sample.value)
}

/// The passes' own time is on top of what the test says.
fn is_about(found: f64, expected: f64) -> bool {
    (found / expected - 1.0).abs() < 0.2
}

#[test]
fn pods_of_both_cgroup_versions() {
    for layout in ["unified", "hybrid"] {
        let machine = Machine::new(layout);
        let books = if layout == "unified" {
            Machine::unified_books
        } else {
            Machine::version_1_books
        };
        books(&machine, 1, 100, 5000, 2000);
        books(&machine, 2, 10, 700, 900);
        machine.put(1, true);
        machine.put(2, false);
        let mut collector = machine.collector();
        let start = Instant::now();
        let first = collector.pass(start);
        assert_eq!(
            value(&first, Family::ServiceCpu, "csca-1"),
            None,
            "no interval yet"
        );
        books(&machine, 1, 105, 5000, 2000);
        let second = collector.pass(start + Duration::from_secs(10));
        let check = |family, pod, expected| {
            assert_eq!(value(&second, family, pod), expected, "{layout} {family:?} {pod}");
        };
        let percent = value(&second, Family::ServiceCpu, "csca-1").unwrap();
        assert!(is_about(percent, 50.0), "{layout}: {percent}");
        check(Family::ServiceCpu, "csca-2", Some(0.0));
        check(Family::ServiceMemory, "csca-1", Some(3000.0));
        check(Family::ServiceMemory, "csca-2", Some(0.0));
        check(Family::ServiceHealth, "csca-1", Some(1.0));
        check(Family::ServiceHealth, "csca-2", Some(0.0));
        check(Family::ServiceInfo, "csca-1", Some(1.0));
    }
}

#[test]
fn a_pod_that_was_never_started_and_one_that_is_gone() {
    let machine = Machine::new("unified");
    machine.put(1, false);
    let mut collector = machine.collector();
    let now = Instant::now();
    let snapshot = collector.pass(now);
    assert_eq!(value(&snapshot, Family::ServiceHealth, "csca-1"), Some(0.0));
    assert_eq!(value(&snapshot, Family::ServiceMemory, "csca-1"), None);
    // It gets its cgroup; another pod is found at once.
    machine.unified_books(1, 1, 1000, 0);
    let snapshot = collector.pass(now);
    assert_eq!(
        value(&snapshot, Family::ServiceMemory, "csca-1"),
        None,
        "not looked for every time"
    );
    machine.unified_books(2, 1, 1000, 0);
    machine.put(2, true);
    let snapshot = collector.pass(now);
    for pod in ["csca-1", "csca-2"] {
        assert_eq!(value(&snapshot, Family::ServiceMemory, pod), Some(1000.0));
    }
    machine.catalog.write().unwrap().retain_pods(&[], now);
    let snapshot = collector.pass(now);
    assert_eq!(value(&snapshot, Family::ServiceHealth, "csca-1"), None);
}

/// A kubelet that manages cgroup v1 leaves the folders of v2 behind.
#[test]
fn a_deleted_pod_whose_folder_stays() {
    let machine = Machine::new("hybrid");
    let path: Box<str> = "/kubepods/poduid".into();
    let account = Account::Cgroup {
        unified: path.clone(),
        cpuacct: path.clone(),
        memory: path,
    };
    let events = "cgroup/unified/kubepods/poduid/cgroup.events";
    machine.write(events, "populated 1\nfrozen 0\n");
    let mut identity = Identity::unknown("node1");
    (identity.service, identity.pod) = ("csca".into(), "csca-0".into());
    let now = Instant::now();
    let enrol = |roster: &mut Roster| roster.enrol(account, &Arc::new(identity), Some(8081), now);
    enrol(&mut machine.roster.lock().unwrap());
    let mut collector = machine.collector();
    assert_eq!(
        value(&collector.pass(now), Family::ServiceInfo, "csca-0"),
        Some(1.0)
    );
    machine.write(events, "populated 0\nfrozen 0\n");
    assert_eq!(value(&collector.pass(now), Family::ServiceInfo, "csca-0"), None);
}

#[test]
fn a_unit_that_stops_and_starts() {
    let machine = Machine::new("unified");
    let path: Box<str> = "/system.slice/csca.service".into();
    let account = Account::Cgroup {
        unified: path.clone(),
        cpuacct: path.clone(),
        memory: path,
    };
    let mut identity = Identity::unknown("node1");
    identity.service = "csca".into();
    let identity = Arc::new(identity);
    let write = |usage: u64| {
        machine.write(
            "cgroup/system.slice/csca.service/cpu.stat",
            &format!("usage_usec {usage}\n"),
        );
    };
    write(9_000_000);
    let start = Instant::now();
    machine
        .roster
        .lock()
        .unwrap()
        .enrol(account, &identity, Some(8081), start);
    let mut collector = machine.collector();
    collector.pass(start);
    // Nobody listens on that port in a namespace made of files.
    fs::remove_dir_all(machine.folder.path().join("cgroup/system.slice")).unwrap();
    let gone = collector.pass(start + Duration::from_secs(10));
    assert_eq!(value(&gone, Family::ServiceHealth, ""), Some(0.0));
    assert_eq!(value(&gone, Family::ServiceCpu, ""), None);
    write(2_000_000);
    let back = collector.pass(start + Duration::from_secs(20));
    let percent = value(&back, Family::ServiceCpu, "").unwrap();
    assert!(
        is_about(percent, 10.0),
        "two seconds since it was gone, in twenty: {percent}"
    );
}

#[test]
fn node_totals() {
    let machine = Machine::new("unified");
    let mut collector = machine.collector();
    let snapshot = collector.pass(Instant::now());
    let total = value(&snapshot, Family::NodeMemoryTotal, "").unwrap();
    let available = value(&snapshot, Family::NodeMemoryAvailable, "").unwrap();
    assert!(total > available && available > 0.0, "{total} {available}");
    let cpu = value(&snapshot, Family::NodeCpu, "").unwrap();
    assert!((0.0..=100.0).contains(&cpu), "{cpu}");
    assert!(Path::new("/proc/meminfo").exists());
}

#[test]
fn every_pod_of_a_full_node() {
    let machine = Machine::new("unified");
    for number in 1..=110 {
        machine.unified_books(number, 1, 1000, 0);
        machine.put(number, true);
    }
    let mut collector = machine.collector();
    let start = Instant::now();
    collector.pass(start);
    let snapshot = collector.pass(start + Duration::from_secs(15));
    let count = |family| {
        snapshot
            .samples
            .iter()
            .filter(|sample| sample.family == family)
            .count()
    };
    assert_eq!(count(Family::ServiceCpu), 110);
    assert_eq!(count(Family::ServiceMemory), 110);
    assert_eq!(count(Family::ServiceHealth), 110);
}
