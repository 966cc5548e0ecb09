//! What identity costs: a connection of somebody known, a process that nobody has seen, and a pass of the gauges
//! over a full node. Prints figures, judges nothing: `cargo bench -p observer --bench identity`.
//!
//! The pods are real where they can be made (cgroup v1 `cpuacct` and `memory`): a container in each, with a process in a
//! network of its own. Elsewhere they are files, which cost less to read than the kernel's.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use observer::attribution::catalog::{Catalog, Coverage, Pod};
use observer::attribution::pod::PodUid;
use observer::attribution::roster::Roster;
use observer::attribution::{Attribution, Resolution, Settings};
use observer::gauge::database::Ports;
use observer::gauge::namespace::Changes;
use observer::gauge::{Collector, Family};
use observer::probe::{self, OBJECT, Probe, Root};
use observer_ebpf::record::Socket;

const PODS: u32 = 110;

/// Cgroups of pods, removed at the end.
struct Pods {
    folders: Vec<PathBuf>,
    cgroups: PathBuf,
    processes: Vec<Child>,
    _files: Option<tempfile::TempDir>,
}

fn uid(number: u32) -> String {
    format!("{number:08x}-be9c-4e0e-9d3a-0f5f6a7b8c9d")
}

impl Pods {
    fn real() -> Option<Self> {
        let mut pods = Self {
            folders: Vec::new(),
            cgroups: PathBuf::from("/sys/fs/cgroup"),
            processes: Vec::new(),
            _files: None,
        };
        let tops = ["cpuacct", "memory"].map(|controller| {
            let top = pods.cgroups.join(controller);
            top.join(format!("bench-{}", std::process::id()))
        });
        for top in &tops {
            pods.make(top.clone())?;
            pods.make(top.join("kubepods"))?;
        }
        for number in 0..PODS {
            let process = Command::new("unshare")
                .args(["--net", "sleep", "600"])
                .stdin(Stdio::null())
                .spawn()
                .ok()?;
            let id = process.id();
            pods.processes.push(process);
            for top in &tops {
                let pod = top.join("kubepods").join(format!("pod{}", uid(number)));
                let container = pod.join(format!("{number:064x}"));
                pods.make(pod)?;
                pods.make(container.clone())?;
                fs::write(container.join("cgroup.procs"), id.to_string()).ok()?;
            }
        }
        Some(pods)
    }

    fn make(&mut self, folder: PathBuf) -> Option<()> {
        fs::create_dir(&folder).ok()?;
        self.folders.push(folder);
        Some(())
    }

    fn files() -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let cgroups = folder.path().to_owned();
        fs::write(cgroups.join("cgroup.controllers"), "").ok()?;
        for number in 0..PODS {
            let pod = cgroups.join("kubepods").join(format!("pod{}", uid(number)));
            fs::create_dir_all(&pod).ok()?;
            fs::write(pod.join("cpu.stat"), "usage_usec 1\n").ok()?;
            fs::write(pod.join("memory.current"), "1\n").ok()?;
            fs::write(pod.join("memory.stat"), "anon 1\ninactive_file 1\n").ok()?;
        }
        Some(Self {
            folders: Vec::new(),
            cgroups,
            processes: Vec::new(),
            _files: Some(folder),
        })
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        for folder in self.folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn catalog() -> Arc<RwLock<Catalog>> {
    let mut catalog = Catalog::default();
    for number in 0..PODS {
        let Some(uid) = PodUid::parse(&uid(number)) else {
            continue;
        };
        let pod = Pod {
            uid,
            cgroup_uid: None,
            namespace: "marty".to_owned(),
            name: format!("csca-{number}"),
            labels: [("app".to_owned(), "csca".to_owned())].into(),
            workload: "csca".to_owned(),
            containers: Vec::new(),
            addresses: Vec::new(),
            host_network: false,
            ready: true,
        };
        catalog.put_pod(pod, Instant::now());
    }
    catalog.set_coverage(Coverage::Complete);
    Arc::new(RwLock::new(catalog))
}

fn gauges() {
    let (pods, kind) = match (Pods::real(), Pods::files()) {
        (Some(pods), _) => (pods, "real cgroups and networks"),
        (None, Some(pods)) => (pods, "files"),
        (None, None) => return println!("SKIPPED neither cgroups nor files can be made here"),
    };
    let settings = Settings {
        cgroups: pods.cgroups.clone(),
        ..Settings::default()
    };
    let ports = Ports::default();
    let (_programs, changes) = changes(&ports);
    let told = if changes.is_some() {
        "told of changes"
    } else {
        "looking for changes"
    };
    let collector = Collector::new(settings, ports, catalog(), Arc::default());
    let mut collector = collector.with_changes(changes);
    for _ in 0..5 {
        collector.pass(Instant::now());
    }
    let mut usage = Vec::new();
    let mut whole = Vec::new();
    for _ in 0..50 {
        let begun = processor_time();
        black_box(collector.services(Instant::now()));
        usage.push(processor_time().saturating_sub(begun));
        let begun = processor_time();
        let snapshot = collector.pass(Instant::now());
        whole.push(processor_time().saturating_sub(begun));
        let count = snapshot
            .samples
            .iter()
            .filter(|sample| sample.family == Family::ServiceMemory)
            .count();
        assert_eq!(count, PODS as usize);
    }
    println!(
        "gauges, {PODS} pods ({kind}), {told}, processor time: services {:?}, whole pass {:?}",
        median(usage),
        median(whole)
    );
}

/// The kernel's word on what has changed, where the kernel can be asked and this was built with the programs for it.
fn changes(ports: &Ports) -> (Option<Probe>, Option<Box<dyn Changes>>) {
    let options = probe::Options {
        ring_bytes: 1 << 16,
        tls: false,
    };
    let attached = Root::find(None)
        .map_err(probe::ProbeError::from)
        .and_then(|root| Probe::attach(OBJECT, &root, options));
    match attached {
        Ok((mut probe, _ring)) => {
            let changes = probe.changes(ports.numbers());
            (
                Some(probe),
                changes.map(|changes| Box::new(changes) as Box<dyn Changes>),
            )
        }
        Err(error) => {
            println!("SKIPPED being told of changes: {error}");
            (None, None)
        }
    }
}

/// Of this thread: other programs on the machine do not lengthen it much.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn socket(process: u32) -> Socket {
    Socket {
        cgroup: 0,
        local: [0; 16],
        remote: [0; 16],
        local_port: 8081,
        remote_port: 50000,
        process,
        command: *b"bench\0\0\0\0\0\0\0\0\0\0\0",
        protocol: 1,
        role: 2,
        joined: 0,
        requests: 0,
        reserved: [0; 4],
    }
}

fn attribution() -> std::io::Result<()> {
    let roster = Arc::<Mutex<Roster>>::default();
    let mut attribution = Attribution::start(Settings::default(), Arc::default(), roster)?;
    let own = socket(std::process::id());
    attribution.resolve(1, &own, Instant::now());
    while attribution.answers(Instant::now()).is_empty() {
        std::thread::yield_now();
    }
    let now = Instant::now();
    let count = 1_000_000_u32;
    for connection in 0..count {
        let known = attribution.resolve(u64::from(connection), &own, now);
        assert!(matches!(black_box(known), Resolution::Known(_)));
    }
    println!("a connection of somebody known: {:?}", now.elapsed() / count);
    // No such processes, so that each is asked for and then named by what the kernel noted.
    let begun = Instant::now();
    let count = 5000_u32;
    for process in 0..count {
        attribution.resolve(u64::from(process), &socket(u32::MAX - process), begun);
    }
    let mut answered = 0;
    while answered < count as usize {
        answered += attribution.answers(begun).len();
        std::thread::yield_now();
    }
    println!("a process that has ended: {:?}", begun.elapsed() / count);
    Ok(())
}

fn main() -> std::io::Result<()> {
    println!(
        "{}",
        if Path::new("/proc/self").exists() {
            "procfs is here"
        } else {
            "no procfs"
        }
    );
    gauges();
    attribution()
}
