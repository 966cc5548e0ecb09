//! Names of containers from the files that Docker and Podman keep of them: nobody's socket is asked, since whoever
//! may talk to that owns the machine. Needs read access to `/var/lib/docker/containers` or
//! `/var/lib/containers/storage`; without it a container is known by the first digits of its id.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::file;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerName {
    pub name: String,
    pub image: String,
    pub labels: BTreeMap<String, String>,
}

/// Where the runtimes keep their state.
#[derive(Clone, Debug)]
pub struct Runtimes {
    pub docker: PathBuf,
    pub podman: PathBuf,
}

/// Docker's file of one container holds its environment and mounts too; Podman's one file of all of them.
const MAX_DOCKER_FILE: u64 = 1024 * 1024;
const MAX_PODMAN_FILE: u64 = 16 * 1024 * 1024;

impl Default for Runtimes {
    fn default() -> Self {
        Self {
            docker: "/var/lib/docker/containers".into(),
            podman: "/var/lib/containers/storage/overlay-containers/containers.json".into(),
        }
    }
}

#[derive(Deserialize)]
struct Docker {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Config")]
    config: DockerConfig,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "Image", default)]
    image: String,
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Podman {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    /// JSON in JSON.
    #[serde(default)]
    metadata: String,
}

#[derive(Default, Deserialize)]
struct PodmanMetadata {
    #[serde(rename = "image-name", default)]
    image: String,
    #[serde(default)]
    name: String,
}

impl Runtimes {
    /// `id` comes from a cgroup name of 64 hexadecimal digits, so it is safe as part of a path.
    pub fn name(&self, id: &str) -> Option<ContainerName> {
        self.docker_name(id).or_else(|| self.podman_name(id))
    }

    fn docker_name(&self, id: &str) -> Option<ContainerName> {
        let path = self.docker.join(id).join("config.v2.json");
        let Docker { name, config } = serde_json::from_str(&file::read(&path, MAX_DOCKER_FILE).ok()?).ok()?;
        let labels = config.labels.unwrap_or_default();
        // Compose appends a number to the name of the service that the operator wrote.
        let service = labels.get("com.docker.compose.service").cloned();
        let name = service.unwrap_or_else(|| name.trim_start_matches('/').to_owned());
        Some(ContainerName {
            name,
            image: config.image,
            labels,
        })
    }

    fn podman_name(&self, id: &str) -> Option<ContainerName> {
        let containers: Vec<Podman> =
            serde_json::from_str(&file::read(&self.podman, MAX_PODMAN_FILE).ok()?).ok()?;
        let Podman { names, metadata, .. } = containers.into_iter().find(|container| container.id == id)?;
        let metadata: PodmanMetadata = serde_json::from_str(&metadata).unwrap_or_default();
        let name = Some(metadata.name)
            .filter(|name| !name.is_empty())
            .or_else(|| names.into_iter().next())?;
        Some(ContainerName {
            name,
            image: metadata.image,
            labels: BTreeMap::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ID: &str = "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339cabcd";

    fn check(docker: &str, podman: &str, expected: Option<(&str, &str)>) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(ID)).unwrap();
        fs::write(folder.path().join(ID).join("config.v2.json"), docker).unwrap();
        fs::write(folder.path().join("containers.json"), podman).unwrap();
        let runtimes = Runtimes {
            docker: folder.path().into(),
            podman: folder.path().join("containers.json"),
        };
        let name = runtimes.name(ID);
        assert_eq!(
            name.as_ref()
                .map(|name| (name.name.as_str(), name.image.as_str())),
            expected
        );
    }

    #[test]
    fn docker() {
        check(
            r#"{"Name":"/csca","Config":{"Image":"csca:1","Labels":null}}"#,
            "",
            Some(("csca", "csca:1")),
        );
        check(
            r#"{"Name":"/marty-csca-1","Config":{"Image":"csca:1","Labels":{"com.docker.compose.service":"csca"}}}"#,
            "",
            Some(("csca", "csca:1")),
        );
        check(r#"{"Name":"/cs"#, "", None);
    }

    #[test]
    fn podman() {
        let list = format!(
            r#"[{{"id":"0"}},{{"id":"{ID}","names":["csca"],"metadata":"{{\"image-name\":\"localhost/csca:2\",\"name\":\"csca\"}}"}}]"#
        );
        check("", &list, Some(("csca", "localhost/csca:2")));
        check("", "[", None);
    }
}
