//! Machines, and what is to be said about them.

use super::facts::{chosen, is_hybrid};
use super::*;
use crate::probe::privilege::Capabilities;

fn machine() -> Facts {
    Facts {
        release: "6.12.9-cloud-amd64".into(),
        loader: Ok(()),
        capabilities: Some(Capabilities::of(&Capability::NEEDED)),
        object: true,
        cgroup: Ok(Place {
            path: "/sys/fs/cgroup".into(),
            whole: true,
        }),
        taken: false,
        lockdown: None,
        unlocked: Ok(()),
        jit: Some(1),
        features: vec![("ring buffer", Some(true))],
        hybrid: false,
        names: Names {
            node: "node1".into(),
            off: false,
            pods: Asked::No,
            services: Asked::No,
            kubelet: Asked::No,
            kubepods: false,
            sight: Sight::Everything,
        },
    }
}

/// What is not fine about the machine after `change`.
fn check(change: impl FnOnce(&mut Facts), expected: &[(&str, Grade)]) {
    let mut facts = machine();
    change(&mut facts);
    let report = judge(&facts);
    let bad: Vec<(&str, Grade)> = report
        .findings
        .iter()
        .filter(|finding| finding.grade != Grade::Fine)
        .inspect(|finding| assert!(!finding.advice.is_empty(), "{finding:?}"))
        .map(|finding| (finding.check, finding.grade))
        .collect();
    assert_eq!(bad, expected);
    assert_eq!(
        report.grade(),
        expected
            .iter()
            .map(|(_, grade)| *grade)
            .max()
            .unwrap_or(Grade::Fine)
    );
}

#[test]
fn machines() {
    check(|_| {}, &[]);
    check(
        |facts| facts.release = "5.4.0-90-generic".into(),
        &[("kernel", Grade::Fatal)],
    );
    check(|facts| facts.release = "5.10".into(), &[]);
    check(
        |facts| facts.release = "custom".into(),
        &[("kernel", Grade::Degraded)],
    );
    check(
        |facts| facts.loader = Err("7.3~rc5".into()),
        &[("kernel", Grade::Degraded)],
    );
    check(|facts| facts.taken = true, &[("other observer", Grade::Degraded)]);
    check(|facts| facts.object = false, &[("kernel programs", Grade::Fatal)]);
    check(
        |facts| facts.cgroup = Err("mount it".into()),
        &[("cgroup v2", Grade::Fatal)],
    );
    check(
        |facts| {
            facts.cgroup = Ok(Place {
                path: "/x".into(),
                whole: false,
            });
        },
        &[("cgroup v2", Grade::Degraded)],
    );
    check(|facts| facts.lockdown = Some("integrity".into()), &[]);
    check(
        |facts| facts.lockdown = Some("confidentiality".into()),
        &[("lockdown", Grade::Fatal)],
    );
    check(|facts| facts.jit = Some(0), &[("bpf jit", Grade::Degraded)]);
    check(
        |facts| facts.features = vec![("ring buffer", Some(false))],
        &[("kernel feature", Grade::Fatal)],
    );
    check(|facts| facts.features = vec![("ring buffer", None)], &[]);
    check(|facts| facts.hybrid = true, &[("identity", Grade::Degraded)]);
    check(
        |facts| facts.capabilities = None,
        &[("capabilities", Grade::Degraded)],
    );
}

#[test]
fn each_missing_capability_is_named() {
    for missing in Capability::NEEDED {
        let others: Vec<Capability> = Capability::NEEDED
            .into_iter()
            .filter(|other| *other != missing)
            .collect();
        let change = |facts: &mut Facts| facts.capabilities = Some(Capabilities::of(&others));
        check(change, &[(missing.name(), Grade::Fatal)]);
    }
}

#[test]
fn locked_memory_matters_on_old_kernels_only() {
    let refused = || Err(std::io::ErrorKind::PermissionDenied.into());
    check(|facts| facts.unlocked = refused(), &[]);
    let old = |facts: &mut Facts| (facts.release, facts.unlocked) = ("5.10.0-46".into(), refused());
    check(old, &[("locked memory", Grade::Degraded)]);
}

#[test]
fn both_forms_say_the_same() {
    let mut facts = machine();
    facts.jit = Some(0);
    let report = judge(&facts);
    let text = report.to_string();
    assert!(text.contains("degraded  bpf jit"), "{text}");
    assert!(text.ends_with("or it costs more.\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["grade"], "degraded");
    assert_eq!(json["findings"].as_array().unwrap().len(), report.findings.len());
}

#[test]
fn lockdown_and_hierarchy() {
    assert_eq!(
        chosen("none [integrity] confidentiality\n").as_deref(),
        Some("integrity")
    );
    assert_eq!(chosen("none\n"), None);
    assert!(is_hybrid("9:memory:/x\n0::/\n"));
    let pod = format!(
        "/kubepods/pod2b1b8b1c-7d1f-4e0e-9d3a-0f5f6a7b8c9d/{}",
        "4c01db0b339c".repeat(5)
    );
    assert!(is_hybrid(&format!("9:memory:{pod}\n0::/\n")));
    assert!(!is_hybrid(&format!("9:memory:{pod}\n0::{pod}\n")));
    assert!(!is_hybrid("1:name=systemd:/init.scope\n0::/user.slice\n"));
}
