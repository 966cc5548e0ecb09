//! A real process that maps a copy of a real library, which then goes or changes on disk.

use super::*;
use crate::probe::privilege::{Capabilities, Capability};
use crate::skip::skipped;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};

/// Python, with a library of this machine's loaded from a folder that is the test's own.
struct Mapped {
    child: Child,
    folder: tempfile::TempDir,
}

const NAME: &str = "libssl.so.3";
const LOAD: &str =
    "import ctypes, sys, time; ctypes.CDLL(sys.argv[1]); print(1, flush=True); time.sleep(600)";

impl Mapped {
    fn new(test: &str) -> Option<Self> {
        let places = [
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib64",
            "/usr/lib",
        ];
        let Some(library) = places
            .iter()
            .map(|place| Path::new(place).join(NAME))
            .find(|path| path.exists())
        else {
            skipped(test, "no libssl.so.3 here");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join(NAME);
        fs::copy(library, &copy).unwrap();
        // The system's own: another may run under another dynamic linker.
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", LOAD]).arg(&copy).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            skipped(test, "no python3 here");
            return None;
        };
        let mut ready = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        Some(Self { child, folder })
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    fn look(&self, scout: &mut Scout) -> Vec<Target> {
        let mut targets = scout.look_at(self.child.id());
        // Python may have another one loaded itself.
        targets.retain(|target| target.shown == self.library());
        targets
    }

    fn reason(&self, scout: &Scout) -> Reason {
        let judged = scout.judged().find(|judged| judged.shown == self.library());
        judged.unwrap().verdicts[0].clone().unwrap_err()
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn once_for_a_file() {
    let Some(mapped) = Mapped::new("tls::scout::once_for_a_file") else {
        return;
    };
    let mut scout = Scout::new();
    let targets = mapped.look(&mut scout);
    let [target] = targets.as_slice() else {
        panic!("{targets:?}")
    };
    assert!(
        target
            .path
            .starts_with(format!("/proc/{}/root", mapped.child.id())),
        "{target:?}"
    );
    assert_eq!(
        fs::read(target.attach_path()).unwrap(),
        fs::read(mapped.library()).unwrap()
    );
    assert!(scout.knows(target.file));
    assert!(mapped.look(&mut scout).is_empty());
    assert!(!scout.scan().iter().any(|target| target.shown == mapped.library()));
}

#[test]
fn given_up_when_nobody_has_it() {
    let Some(mapped) = Mapped::new("tls::scout::given_up_when_nobody_has_it") else {
        return;
    };
    let mut scout = Scout::new();
    let file = mapped.look(&mut scout)[0].file;
    drop(scout.scan());
    assert!(!scout.retire().contains(&file));
    drop(mapped);
    drop((scout.scan(), scout.scan()));
    assert!(scout.retire().contains(&file));
    assert!(!scout.knows(file));
}

/// With the capability the mapping itself is reached; without it is said why not.
#[track_caller]
fn check_gone(mapped: &Mapped, reason: &Reason) {
    let mut scout = Scout::new();
    let targets = mapped.look(&mut scout);
    let able = Capabilities::effective()
        .is_some_and(|has| has.has(Capability::CheckpointRestore) || has.has(Capability::SysAdmin));
    if able {
        assert_eq!(targets.len(), 1, "{:?}", mapped.reason(&scout));
        assert!(
            targets[0]
                .path
                .starts_with(format!("/proc/{}/map_files", mapped.child.id())),
            "{targets:?}"
        );
    } else {
        assert_eq!(targets.len(), 0);
        assert_eq!(mapped.reason(&scout), *reason);
    }
}

#[test]
fn deleted_on_disk() {
    let Some(mapped) = Mapped::new("tls::scout::deleted_on_disk") else {
        return;
    };
    fs::remove_file(mapped.library()).unwrap();
    check_gone(&mapped, &Reason::Deleted);
}

#[test]
fn another_at_its_place() {
    let Some(mapped) = Mapped::new("tls::scout::another_at_its_place") else {
        return;
    };
    let other = mapped.folder.path().join("new");
    fs::copy(mapped.library(), &other).unwrap();
    fs::rename(other, mapped.library()).unwrap();
    check_gone(&mapped, &Reason::Deleted);
}
