//! Pod UIDs as they stand in cgroup names. Knows nothing of the API server's pods (that is `kubernetes`).

use std::fmt;

/// UID of a pod as the kubelet uses it: a UUID, or 32 hexadecimal digits for a static pod (then it is the hash of
/// its manifest, which the API server knows as the annotation `kubernetes.io/config.hash`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodUid(Box<str>);

impl PodUid {
    /// As the API server writes it.
    pub fn parse(text: &str) -> Option<Self> {
        is_uuid(text, b'-')
            .then(|| Self(text.to_ascii_lowercase().into()))
            .or_else(|| {
                (text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()))
                    .then(|| Self(text.to_ascii_lowercase().into()))
            })
    }

    /// As the systemd cgroup driver writes it: a `-` would be a level of the slice's path, so it becomes `_`.
    fn parse_slice(text: &str) -> Option<Self> {
        if is_uuid(text, b'_') {
            Self::parse(&text.replace('_', "-"))
        } else {
            Self::parse(text)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pod that one component of a cgroup path stands for.
    ///
    /// cgroupfs driver: `pod<uid>`, below a folder `kubepods`. systemd driver: `[<root>-]kubepods[-<qos>]-pod<uid>.slice`.
    /// containerd told to use the systemd driver's paths but not the driver itself leaves
    /// `kubepods-burstable-pod<uid>.slice:cri-containerd:<id>`.
    pub(super) fn from_component(component: &str, below_kubepods: bool) -> Option<Self> {
        if let Some(uid) = component.strip_prefix("pod") {
            return below_kubepods.then(|| Self::parse(uid)).flatten();
        }
        let slice = component.split_once(':').map_or(component, |(slice, _)| slice);
        let name = slice.strip_suffix(".slice")?;
        let (levels, uid) = name.rsplit_once("-pod")?;
        let mut levels = levels.rsplit('-');
        let kubepods = match levels.next()? {
            "burstable" | "besteffort" => levels.next()?,
            guaranteed => guaranteed,
        };
        (kubepods == "kubepods").then(|| Self::parse_slice(uid)).flatten()
    }
}

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_uuid(text: &str, dash: u8) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == dash,
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "2b1b8b1c-7d1f-4e0e-9d3a-0f5f6a7b8c9d";

    #[test]
    fn uids() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(
                PodUid::parse(text).as_ref().map(PodUid::as_str),
                expected,
                "{text}"
            );
        };
        check(UID, Some(UID));
        check(
            "8f4a0b7c1d2e3f405162738495a6b7c8",
            Some("8f4a0b7c1d2e3f405162738495a6b7c8"),
        );
        check("8f4a0b7c1d2e3f405162738495a6b7cg", None);
        check("2b1b8b1c_7d1f_4e0e_9d3a_0f5f6a7b8c9d", None);
        check("", None);
    }

    #[test]
    fn components() {
        let check = |component: &str, below: bool, expected: Option<&str>| {
            let uid = PodUid::from_component(component, below);
            assert_eq!(uid.as_ref().map(PodUid::as_str), expected, "{component}");
        };
        let slice = UID.replace('-', "_");
        check(&format!("pod{UID}"), true, Some(UID));
        check(&format!("pod{UID}"), false, None);
        check(&format!("kubepods-pod{slice}.slice"), false, Some(UID));
        check(&format!("kubepods-burstable-pod{slice}.slice"), false, Some(UID));
        check(
            &format!("kubelet-kubepods-besteffort-pod{slice}.slice"),
            false,
            Some(UID),
        );
        check(
            &format!("kubepods-burstable-pod{slice}.slice:cri-containerd:0123"),
            false,
            Some(UID),
        );
        check(&format!("notkubepods-pod{slice}.slice"), false, None);
        check(&format!("kubepods-pod{slice}.scope"), false, None);
        check("kubepods-burstable.slice", true, None);
        check("podman", true, None);
    }
}
