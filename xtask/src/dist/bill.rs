//! The bill of materials: every crate that is linked into the daemon, in `CycloneDX`'s JSON.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Release;
use crate::process;
use crate::workspace::{Workspace, cargo};

pub fn write(workspace: &Workspace, release: &Release) -> Result<PathBuf> {
    let mut tree = process::command(cargo());
    tree.args(["tree", "--locked", "--package", "observer", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}\t{l}"])
        .current_dir(&workspace.root);
    let components = components(&process::output(&mut tree)?);
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
}
