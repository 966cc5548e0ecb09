//! A machine to name sockets on: made of files, or this one.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;

/// A machine made of files.
pub(super) struct Machine {
    pub(super) folder: tempfile::TempDir,
    pub(super) settings: Settings,
    pub(super) catalog: Arc<RwLock<Catalog>>,
    pub(super) roster: Arc<Mutex<Roster>>,
}

impl Machine {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("cgroup")).unwrap();
        fs::write(at("cgroup/cgroup.controllers"), "").unwrap();
        fs::create_dir_all(at("proc/self")).unwrap();
        fs::write(at("proc/self/status"), "NSpid:\t70\t1\n").unwrap();
        let runtimes = Runtimes {
            docker: at("docker"),
            podman: at("podman"),
        };
        let settings = Settings {
            proc: at("proc"),
            cgroups: at("cgroup"),
            runtimes,
            node: "node1".to_owned(),
            rules: Vec::new(),
        };
        Self {
            folder,
            settings,
            catalog: Arc::default(),
            roster: Arc::default(),
        }
    }

    pub(super) fn hybrid() -> Self {
        let machine = Self::new();
        fs::remove_file(machine.settings.cgroups.join("cgroup.controllers")).unwrap();
        fs::create_dir(machine.settings.cgroups.join("unified")).unwrap();
        fs::write(machine.settings.cgroups.join("unified/cgroup.controllers"), "").unwrap();
        machine
    }

    /// This machine's own procfs.
    pub(super) fn real() -> Self {
        let mut machine = Self::new();
        machine.settings.proc = "/proc".into();
        machine
    }

    pub(super) fn cgroup(&self, path: &str) -> u64 {
        let folder = self
            .folder
            .path()
            .join("cgroup")
            .join(path.trim_start_matches('/'));
        fs::create_dir_all(&folder).unwrap();
        fs::metadata(folder).unwrap().ino()
    }

    pub(super) fn process(&self, pid: u32, name: &str, parent: u32, cgroup: &str) {
        let folder = self.folder.path().join("proc").join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        let tail = "0 0 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 77 1000 9 1";
        fs::write(folder.join("stat"), format!("{pid} ({name}) S {parent} {tail}")).unwrap();
        fs::write(folder.join("cgroup"), cgroup).unwrap();
        fs::write(folder.join("cmdline"), format!("/usr/bin/{name}\0--serve\0")).unwrap();
        fs::write(folder.join("auxv"), format!("auxiliary vector of {name}")).unwrap();
    }

    pub(super) fn start(&self) -> Attribution {
        Attribution::start(
            self.settings.clone(),
            Arc::clone(&self.catalog),
            Arc::clone(&self.roster),
        )
        .unwrap()
    }

    pub(super) fn ask(&self, socket: &Socket) -> Attributed {
        wait(&mut self.start(), socket)
    }

    pub(super) fn check(&self, socket: &Socket, service: &str, source: Source) {
        let identity = self.ask(socket).identity;
        assert_eq!(
            (&*identity.service, identity.source),
            (service, source),
            "{identity:?}"
        );
        assert_eq!(&*identity.node, "node1");
    }
}

pub(super) fn wait(attribution: &mut Attribution, socket: &Socket) -> Attributed {
    const CONNECTION: u64 = 7;
    if let Resolution::Known(known) = attribution.resolve(CONNECTION, socket, Instant::now()) {
        return known;
    }
    let (connection, attributed) = answer(attribution);
    assert_eq!(connection, CONNECTION);
    attributed
}

/// The next that comes.
pub(super) fn answer(attribution: &mut Attribution) -> (u64, Attributed) {
    let start = Instant::now();
    loop {
        if let Some(answer) = attribution.answers(Instant::now()).pop() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "no answer");
        thread::yield_now();
    }
}

pub(in crate::attribution) fn socket(cgroup: u64, process: u32, command: &str, role: Role) -> Socket {
    let mut name = [0; 16];
    name[..command.len()].copy_from_slice(command.as_bytes());
    Socket {
        cgroup,
        local: socket::Address::new([192, 0, 2, 1], 0).ip,
        remote: socket::Address::new([192, 0, 2, 2], 0).ip,
        local_port: 8081,
        remote_port: 50000,
        process,
        command: name,
        protocol: 1,
        role: role as u8,
        joined: 0,
        requests: 0,
        reserved: [0; 4],
    }
}

pub(super) fn rule(name: &str, port: u16) -> ServiceRule {
    ServiceRule {
        name: name.to_owned(),
        port: Some(port),
        ..ServiceRule::default()
    }
}
