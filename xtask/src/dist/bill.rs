//! The bill of materials: every crate that is linked into the daemon, or into the kernel programs that it carries, in
//! `CycloneDX`'s JSON.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Release;
use crate::workspace::{Workspace, cargo};
use crate::{process, toolchain};

pub fn write(workspace: &Workspace, release: &Release) -> Result<PathBuf> {
    let daemon = tree(workspace, &["observer"])?;
    let kernel = tree(
        workspace,
        &[
            "observer-ebpf",
            "--features",
            "programs",
            "--target",
            toolchain::TARGET,
        ],
    )?;
    let components = components(&(daemon + &kernel));
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "marty-observer", "version": release.version,
            "licenses": [{"expression": "Apache-2.0"}]}},
        "components": components,
    });
    let name = format!("marty-observer-{}.cdx.json", release.version);
    let file = release.folder.join(name);
    std::fs::write(&file, serde_json::to_string_pretty(&bill)? + "\n")
        .with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(file)
}

/// What cargo says that a package is made of.
fn tree(workspace: &Workspace, package: &[&str]) -> Result<String> {
    let mut tree = process::command(cargo());
    tree.args(["tree", "--locked", "--edges", "normal", "--package"])
        .args(package)
        .args(["--prefix", "none", "--format", "{p}\t{l}"])
        .current_dir(&workspace.root);
    process::output(&mut tree)
}

/// Of lines like `bytes v1.10.1<TAB>MIT`; what is ours has a path behind it and is no component.
fn components(tree: &str) -> Vec<Value> {
    let lines: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines
        .into_iter()
        .filter_map(|line| {
            let (package, licence) = line.split_once('\t')?;
            let (name, version) = package.split_once(" v")?;
            if version.contains('(') && !version.contains("(proc-macro)") {
                return None;
            }
            let version = version.split(' ').next()?;
            let licence = licence.trim_end_matches(" (*)").replace('/', " OR ");
            Some(json!({
                "type": "library", "name": name, "version": version,
                "purl": format!("pkg:cargo/{name}@{version}"),
                "licenses": [{"expression": licence}],
            }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_a_tree() {
        let tree = "observer v0.1.0 (/a/b)\tApache-2.0\nbytes v1.10.1\tMIT\nbytes v1.10.1\tMIT (*)\n\
                    serde_derive v1.0.1 (proc-macro)\tMIT/Apache-2.0\n";
        let found = components(tree);
        let names: Vec<&str> = found.iter().filter_map(|found| found["purl"].as_str()).collect();
        assert_eq!(names, ["pkg:cargo/bytes@1.10.1", "pkg:cargo/serde_derive@1.0.1"]);
        assert_eq!(found[1]["licenses"][0]["expression"], "MIT OR Apache-2.0");
    }

    #[test]
    fn both_programs_are_billed() {
        let folder = std::env::temp_dir().join(format!("xtask-bill-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let release = Release {
            version: String::from("1"),
            architecture: "amd64",
            epoch: String::from("1700000000"),
            folder: folder.clone(),
        };
        let file = write(&Workspace::find().unwrap(), &release).unwrap();
        let bill = std::fs::read_to_string(file).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        // The daemon's, and the kernel programs'.
        for name in ["aya", "aya-ebpf", "aya-ebpf-bindings"] {
            assert!(
                bill.contains(&format!("\"name\": \"{name}\"")),
                "no {name}: {bill}"
            );
        }
    }
}
