//! The Debian package: the daemon, its unit, its settings, shell completions and the rules, dashboards and examples to
//! look at. It starts by itself after installation, as Debian's services do.

mod script;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Release, archive};
use crate::process;
use crate::workspace::Workspace;

/// Where shells look.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/observer"),
    ("zsh", "usr/share/zsh/vendor-completions/_observer"),
    ("fish", "usr/share/fish/vendor_completions.d/observer.fish"),
];

/// From `deploy`, with their places and whether they are settings.
const FILES: [(&str, &str); 5] = [
    (
        "systemd/marty-observer.service",
        "usr/lib/systemd/system/marty-observer.service",
    ),
    ("systemd/observer.yaml", "etc/marty-observer/observer.yaml"),
    ("systemd/marty-observer.default", "etc/default/marty-observer"),
    (
        "systemd/owners.conf",
        "usr/share/doc/marty-observer/examples/owners.conf",
    ),
    (
        "systemd/tls.conf",
        "usr/share/doc/marty-observer/examples/tls.conf",
    ),
];

const FOLDERS: [&str; 4] = ["rules", "dashboards", "prometheus", "examples"];

pub fn build(workspace: &Workspace, release: &Release, daemon: &Path) -> Result<PathBuf> {
    let stage = release.folder.join("package");
    archive::empty(&stage)?;
    archive::install(daemon, &stage.join("usr/bin/observer"), 0o755)?;
    let deploy = workspace.root.join("deploy");
    for (from, to) in FILES {
        archive::install(&deploy.join(from), &stage.join(to), 0o644)?;
    }
    let documents = stage.join("usr/share/doc/marty-observer");
    for folder in FOLDERS {
        for entry in std::fs::read_dir(deploy.join(folder))? {
            let entry = entry?;
            let to = documents.join(folder).join(entry.file_name());
            archive::install(&entry.path(), &to, 0o644)?;
        }
    }
    archive::install(
        &workspace.root.join("LICENSE"),
        &documents.join("copyright"),
        0o644,
    )?;
    for (shell, to) in COMPLETIONS {
        let text = process::output(process::command(daemon).args(["completions", shell]))?;
        write(&stage.join(to), &text, 0o644)?;
    }
    control(release, &stage)?;
    // The service is nobody, who has to get to its settings.
    archive::open(&stage)?;
    let file = release.folder.join(format!(
        "marty-observer_{}_{}.deb",
        release.version, release.architecture
    ));
    let mut build = process::command("dpkg-deb");
    build
        .args(["--root-owner-group", "--build", "-Zxz"])
        .arg(&stage)
        .arg(&file);
    build.env("SOURCE_DATE_EPOCH", &release.epoch);
    process::output(&mut build).context("Debian's dpkg-deb makes the package")?;
    std::fs::remove_dir_all(&stage)?;
    Ok(file)
}

fn control(release: &Release, stage: &Path) -> Result<()> {
    let Release {
        version,
        architecture,
        ..
    } = release;
    let control = format!(
        "Package: marty-observer
Version: {version}
Architecture: {architecture}
Maintainer: Marty Observer maintainers <observer@example.org>
Section: net
Priority: optional
Recommends: systemd
Suggests: prometheus, prometheus-node-exporter
Description: metrics of every gRPC call on this machine
 Kernel programs (eBPF) follow TCP connections; the daemon makes calls of what they
 hand over and exports them to Prometheus. No application is changed or restarted.
 Needs Linux 5.10 or newer.
"
    );
    let folder = stage.join("DEBIAN");
    write(&folder.join("control"), &control, 0o644)?;
    let settings = FILES.iter().filter(|(_, to)| to.starts_with("etc/"));
    let settings: Vec<String> = settings.map(|(_, to)| format!("/{to}\n")).collect();
    let settings = settings.concat();
    write(&folder.join("conffiles"), &settings, 0o644)?;
    for (name, text) in script::ALL {
        write(&folder.join(name), text, 0o755)?;
    }
    Ok(())
}

fn write(file: &Path, text: &str, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(file.parent().context("no folder")?)?;
    std::fs::write(file, text)?;
    Ok(std::fs::set_permissions(file, PermissionsExt::from_mode(mode))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_can_read_it() {
        let root = std::env::temp_dir().join(format!("xtask-package-{}", std::process::id()));
        let daemon = root.join("observer");
        write(&daemon, "#!/bin/sh\necho completions\n", 0o755).unwrap();
        let release = Release {
            version: String::from("1"),
            architecture: "amd64",
            epoch: String::from("1700000000"),
            folder: root.clone(),
        };
        let file = build(&Workspace::find().unwrap(), &release, &daemon).unwrap();
        let listed = process::output(process::command("dpkg-deb").arg("--contents").arg(&file)).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        for line in listed.lines() {
            assert!(
                ["drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"]
                    .iter()
                    .any(|mode| line.starts_with(mode)),
                "{line}"
            );
        }
        assert!(listed.contains("./etc/marty-observer/observer.yaml"), "{listed}");
    }
}
