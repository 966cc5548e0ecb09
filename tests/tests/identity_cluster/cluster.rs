//! A real Kubernetes, spoken to by the program that `OBSERVER_CLUSTER` names (`cargo xtask cluster` starts it): its
//! verbs `kubectl ARGS…` and `image NAME:TAG FOLDER ENTRYPOINT…` are all that is used.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::prerequisite::Error;
use tests::process::{Place, Process};

#[derive(Debug)]
pub struct Cluster {
    program: OsString,
}

/// Where everything of the proof is.
pub const NAMESPACE: &str = "marty";
/// Where the observer is.
pub const OBSERVER: &str = "observability";

impl Cluster {
    pub fn find() -> Result<Self, Error> {
        let program = std::env::var_os("OBSERVER_CLUSTER").ok_or_else(|| {
            Error::Missing("OBSERVER_CLUSTER is not set: run `cargo xtask cluster`".to_owned())
        })?;
        Ok(Self { program })
    }

    fn command(&self, arguments: &[&str]) -> Vec<OsString> {
        let words = arguments.iter().map(OsString::from);
        ["bash".into(), self.program.clone()]
            .into_iter()
            .chain(words)
            .collect()
    }

    fn run(&self, arguments: &[&str], input: &str) -> Result<String> {
        let command = self.command(arguments);
        let (program, rest) = command.split_first().context("a command")?;
        let mut child = Command::new(program)
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child
            .stdin
            .take()
            .context("standard input")?
            .write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "{arguments:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.run(&[&["kubectl"], arguments].concat(), "")
    }

    /// In the namespace of the proof.
    pub fn inside(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl(&[&["--namespace", NAMESPACE], arguments].concat())
    }

    pub fn apply(&self, objects: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.run(&["kubectl", "apply", "-f", "-"], &list.to_string())
            .map(drop)
    }

    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.inside(&[&["get", "-o", "json"], arguments].concat())?;
        serde_json::from_str(&text).with_context(|| format!("{arguments:?}"))
    }

    /// A program that runs beside the test: `attach`, `logs --follow`.
    pub fn start(&self, arguments: &[&str]) -> Result<Process> {
        let words = [&["kubectl", "--namespace", NAMESPACE], arguments].concat();
        Process::start(&self.command(&words), &Place::default())
    }

    /// An image of one program and the libraries it is linked with.
    pub fn image(&self, tag: &str, program: &Path) -> Result<()> {
        let folder = tempfile::tempdir()?;
        place(folder.path(), program, Path::new("/program"))?;
        for library in libraries(program)? {
            place(folder.path(), &library, &library)?;
        }
        std::fs::create_dir_all(folder.path().join("tmp"))?;
        let root = folder.path().to_string_lossy();
        self.run(&["image", tag, &root, "/program"], "").map(drop)
    }

    /// Removes everything of an earlier proof, and waits for it to be gone.
    pub fn clean(&self) -> Result<()> {
        let namespaces = [
            "delete",
            "namespace",
            NAMESPACE,
            OBSERVER,
            "--ignore-not-found",
            "--timeout=120s",
        ];
        self.kubectl(&namespaces)?;
        let names = ["marty-observer", "marty-observer-kubelet"];
        let roles = [
            &["delete", "clusterrole,clusterrolebinding", "--ignore-not-found"],
            names.as_slice(),
        ]
        .concat();
        self.kubectl(&roles).map(drop)
    }
}

fn place(root: &Path, file: &Path, at: &Path) -> Result<()> {
    let target = root.join(at.strip_prefix("/")?);
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::copy(file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

/// As the dynamic linker says; none for a static program, which `ldd` calls a failure.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(PathBuf::from).collect())
}
