//! The image: the daemon alone, as an OCI layout that `docker load`, `podman load` and `ctr image import` read. The same
//! file system as deploy/image/Dockerfile makes, without a builder or a registry.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Release, archive};

const NAME: &str = "marty-observer";

pub fn build(release: &Release, daemon: &Path) -> Result<PathBuf> {
    let stage = release.folder.join("image");
    let (root, layout) = (stage.join("root"), stage.join("layout"));
    archive::empty(&stage)?;
    archive::install(daemon, &root.join("usr/bin/observer"), 0o755)?;
    let layer = stage.join("layer.tar");
    archive::tar(release, &root, &layer)?;
    write(release, &layout, &layer)?;
    let file = release.folder.join(format!(
        "{NAME}-{}-{}.oci.tar",
        release.version, release.architecture
    ));
    archive::tar(release, &layout, &file)?;
    std::fs::remove_dir_all(&stage)?;
    Ok(file)
}

fn write(release: &Release, layout: &Path, layer: &Path) -> Result<()> {
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs)?;
    let layer = store(
        &blobs,
        &std::fs::read(layer)?,
        "application/vnd.oci.image.layer.v1.tar",
    )?;
    let configuration = configuration(release, &layer)?;
    let configuration = store(
        &blobs,
        configuration.to_string().as_bytes(),
        "application/vnd.oci.image.config.v1+json",
    )?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": configuration, "layers": [layer],
    });
    let mut manifest = store(
        &blobs,
        manifest.to_string().as_bytes(),
        "application/vnd.oci.image.manifest.v1+json",
    )?;
    let tag = format!("{NAME}:{}", release.version);
    manifest["platform"] = json!({"architecture": release.architecture, "os": "linux"});
    manifest["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/library/{tag}"),
        "org.opencontainers.image.ref.name": release.version,
    });
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [manifest]});
    std::fs::write(layout.join("index.json"), index.to_string())?;
    std::fs::write(
        layout.join("oci-layout"),
        json!({"imageLayoutVersion": "1.0.0"}).to_string(),
    )?;
    // For Docker before 25, which knows no OCI layout.
    let path = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        format!("blobs/{}", digest.replace(':', "/"))
    };
    let old = json!([{"Config": path(&configuration), "RepoTags": [tag], "Layers": [path(&layer)]}]);
    Ok(std::fs::write(layout.join("manifest.json"), old.to_string())?)
}

fn configuration(release: &Release, layer: &Value) -> Result<Value> {
    let seconds: u64 = release
        .epoch
        .parse()
        .context("SOURCE_DATE_EPOCH is no number of seconds")?;
    Ok(json!({
        "architecture": release.architecture, "os": "linux", "created": date(seconds),
        "config": {
            "User": "0", "Entrypoint": ["/usr/bin/observer"], "Cmd": ["run"], "ExposedPorts": {"9464/tcp": {}},
            "Labels": {
                "org.opencontainers.image.title": "Marty Observer",
                "org.opencontainers.image.version": release.version,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        // The layer is not compressed, so its digest is that of its content.
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }))
}

/// Puts `bytes` where their digest says; gives the descriptor.
fn store(blobs: &Path, bytes: &[u8], kind: &str) -> Result<Value> {
    let unnamed = blobs.join("unnamed");
    std::fs::write(&unnamed, bytes)?;
    let digest = archive::sha256(&unnamed)?;
    std::fs::rename(&unnamed, blobs.join(&digest))?;
    Ok(json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()}))
}

/// RFC 3339, by the civil calendar: years of 400 hold 146,097 days.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, so that a leap day is a year's last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + carry;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date(1_795_184_942), "2026-11-20T14:29:02Z");
    }
}
