//! The order in which a service gets its name (contract, "Values"), over what was found out about the owner of a
//! socket. Pure.

use super::catalog::{Catalog, Pod};
use super::cgroup::path::Place;
use super::identity::{Identity, Source};
use super::pod::PodUid;

/// What was found out.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    pub node: &'a str,
    /// Name by the configuration.
    pub configured: Option<&'a str>,
    pub place: Place,
    pub pod: Option<&'a Pod>,
    /// Name and image of the container, where the runtime's files say.
    pub container: Option<&'a super::container_name::ContainerName>,
    /// Name of the process, while it lives.
    pub process: Option<&'a str>,
    /// Name of the thread that made the socket.
    pub command: Option<&'a str>,
    /// The port that is served on the socket.
    pub port: Option<u16>,
}

/// Docker's own abbreviation.
const SHORT_ID: usize = 12;

pub fn identify(facts: &Facts<'_>, catalog: &Catalog) -> Identity {
    let mut identity = match (facts.pod, facts.place.pods.first()) {
        (Some(pod), _) => in_pod(facts, pod, catalog),
        (None, Some(uid)) => in_unlisted_pod(facts, uid),
        (None, None) => outside_kubernetes(facts),
    };
    if let Some(name) = facts.configured {
        identity.service = name.into();
        identity.source = Source::Configuration;
    }
    identity
}

fn in_pod(facts: &Facts<'_>, pod: &Pod, catalog: &Catalog) -> Identity {
    let label = |key: &str| pod.labels.get(key).filter(|value| !value.is_empty()).cloned();
    let service = catalog
        .service_of(pod, facts.port)
        .map(|service| service.name.clone());
    let names = [
        (service, Source::KubernetesService),
        (label("app.kubernetes.io/name"), Source::NameLabel),
        (label("app"), Source::AppLabel),
        (
            Some(pod.workload.clone()).filter(|name| !name.is_empty()),
            Source::Workload,
        ),
    ];
    let first = names.into_iter().find_map(|(name, source)| Some((name?, source)));
    let (service, source) = first.unwrap_or_else(|| (pod.name.clone(), Source::Pod));
    let container = pod
        .containers
        .iter()
        .find(|container| facts.place.container.as_deref() == Some(container.id.as_str()))
        .or_else(|| pod.containers.first().filter(|_| pod.containers.len() == 1));
    let version = label("app.kubernetes.io/version").or_else(|| {
        container
            .or(pod.containers.first())
            .and_then(|container| image_tag(&container.image))
    });
    Identity {
        service: service.into(),
        namespace: pod.namespace.as_str().into(),
        pod: pod.name.as_str().into(),
        container: container.map_or("", |container| container.name.as_str()).into(),
        workload: pod.workload.as_str().into(),
        version: version.unwrap_or_default().into(),
        node: facts.node.into(),
        source,
    }
}

fn in_unlisted_pod(facts: &Facts<'_>, uid: &PodUid) -> Identity {
    Identity {
        service: uid.as_str().into(),
        pod: uid.as_str().into(),
        container: facts.place.container.as_deref().map_or("", short_id).into(),
        source: Source::PodUid,
        ..Identity::unknown(facts.node)
    }
}

fn outside_kubernetes(facts: &Facts<'_>) -> Identity {
    let Place {
        pods: _,
        container: id,
        unit,
        scope: _,
    } = &facts.place;
    let container = facts.container.map(|container| container.name.as_str());
    let container = container.or(id.as_deref().map(short_id));
    let names = [
        (unit.as_deref(), Source::Unit),
        (container, Source::Container),
        (facts.process, Source::Process),
        (facts.command, Source::Command),
    ];
    let first = names
        .into_iter()
        .find_map(|(name, source)| Some((name.filter(|name| !name.is_empty())?, source)));
    let Some((service, source)) = first else {
        return Identity::unknown(facts.node);
    };
    Identity {
        service: service.into(),
        container: container.unwrap_or_default().into(),
        workload: unit.as_deref().unwrap_or_default().into(),
        version: facts
            .container
            .and_then(|container| image_tag(&container.image))
            .unwrap_or_default()
            .into(),
        source,
        ..Identity::unknown(facts.node)
    }
}

fn short_id(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

/// `registry:5000/name:tag@sha256:…`: the tag, if there is one.
fn image_tag(image: &str) -> Option<String> {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    let last = image.rsplit('/').next()?;
    let (_, tag) = last.split_once(':')?;
    (!tag.is_empty() && !image.starts_with("sha256:")).then(|| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::catalog::Target;
    use super::super::catalog::tests::{UID, pod, service};
    use super::super::container_name::ContainerName;
    use super::*;

    fn check(facts: &Facts<'_>, catalog: &Catalog, service: &str, source: Source) -> Identity {
        let identity = identify(facts, catalog);
        assert_eq!(
            (&*identity.service, identity.source),
            (service, source),
            "{facts:?}"
        );
        identity
    }

    #[test]
    fn order_in_kubernetes() {
        let mut catalog = Catalog::default();
        let mut app = pod(
            UID,
            "csca-0",
            &[("app", "by-app"), ("app.kubernetes.io/name", "by-name")],
        );
        app.workload = "csca-deployment".to_owned();
        catalog.put_service(service(
            "by-service",
            &[("app", "by-app")],
            vec![Target::Number(8081)],
        ));
        let at = |app: &Pod, port: Option<u16>, configured, name, source| {
            let facts = Facts {
                node: "n1",
                pod: Some(app),
                port,
                configured,
                ..Facts::default()
            };
            let identity = check(&facts, &catalog, name, source);
            assert_eq!(
                (&*identity.namespace, &*identity.pod, &*identity.node),
                ("marty", "csca-0", "n1")
            );
            assert_eq!((&*identity.version, &*identity.container), ("1.4", "main"));
        };
        at(
            &app,
            Some(8081),
            Some("configured"),
            "configured",
            Source::Configuration,
        );
        at(&app, Some(8081), None, "by-service", Source::KubernetesService);
        at(&app, Some(1), None, "by-name", Source::NameLabel);
        app.labels.remove("app.kubernetes.io/name");
        at(&app, Some(1), None, "by-app", Source::AppLabel);
        app.labels.clear();
        at(&app, Some(1), None, "csca-deployment", Source::Workload);
        app.workload.clear();
        at(&app, Some(1), None, "csca-0", Source::Pod);
    }

    #[test]
    fn order_on_a_linux_box() {
        let catalog = Catalog::default();
        let id = "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339cabcd";
        let mut place = Place {
            pods: vec![],
            container: Some(id.into()),
            unit: Some("web".into()),
            scope: "".into(),
        };
        let container = ContainerName {
            name: "csca".to_owned(),
            image: "r:5000/csca:2.0".to_owned(),
            ..Default::default()
        };
        let at = |place: &Place, container, process, name, source| {
            let facts = Facts {
                place: place.clone(),
                container,
                process,
                command: Some("thread-7"),
                ..Facts::default()
            };
            let identity = check(&facts, &catalog, name, source);
            assert_eq!((&*identity.namespace, &*identity.pod), ("", ""));
        };
        at(&place, Some(&container), Some("p"), "web", Source::Unit);
        place.unit = None;
        at(&place, Some(&container), Some("p"), "csca", Source::Container);
        at(&place, None, Some("p"), "4c01db0b339c", Source::Container);
        place.container = None;
        at(&place, None, Some("p"), "p", Source::Process);
        at(&place, None, None, "thread-7", Source::Command);
        check(&Facts::default(), &catalog, "_unknown", Source::Unknown);
    }

    #[test]
    fn a_pod_that_no_list_has() {
        let place = Place {
            pods: vec![PodUid::parse(UID).unwrap()],
            ..Place::default()
        };
        let facts = Facts {
            place,
            process: Some("python3"),
            ..Facts::default()
        };
        let identity = check(&facts, &Catalog::default(), UID, Source::PodUid);
        assert_eq!(&*identity.pod, UID);
    }

    #[test]
    fn image_tags() {
        let check = |image: &str, expected: Option<&str>| {
            assert_eq!(image_tag(image).as_deref(), expected, "{image}");
        };
        check("csca:1.4", Some("1.4"));
        check("registry:5000/marty/csca:1.4@sha256:abcd", Some("1.4"));
        check("registry:5000/marty/csca", None);
        check("csca", None);
        check("sha256:abcd", None);
        check("csca@sha256:abcd", None);
    }
}
