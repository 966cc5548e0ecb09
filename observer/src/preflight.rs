//! What this kernel, this container and these privileges allow, and what to do about what they do not: the
//! content of `observer check`. Looking (`facts`) and judging (here) are apart, so that the judgement can be tested.

mod facts;
mod names;
mod report;

use std::process::ExitCode;

use serde::Serialize;

use crate::config::Config;
use crate::probe::OBJECT;
use crate::probe::privilege::Capability;
pub use facts::{Facts, Place};
pub use names::{Asked, Names, Sight};
pub use report::Report;

/// The oldest kernel whose verifier and helpers the programs were made for.
const OLDEST: (u32, u32) = (5, 10);
/// From here on maps are charged to the cgroup, not to `RLIMIT_MEMLOCK`.
const NO_MEMLOCK: (u32, u32) = (5, 11);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    Fine,
    /// It runs, and something will not be seen or costs more.
    Degraded,
    /// It cannot run.
    Fatal,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub grade: Grade,
    pub found: String,
    /// What is the consequence and what to do; empty where all is fine.
    pub advice: String,
}

impl Finding {
    fn fine(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            grade: Grade::Fine,
            found: found.into(),
            advice: String::new(),
        }
    }

    fn degraded(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            check,
            grade: Grade::Degraded,
            found: found.into(),
            advice: advice.into(),
        }
    }

    fn fatal(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            check,
            grade: Grade::Fatal,
            found: found.into(),
            advice: advice.into(),
        }
    }
}

/// `observer check`: the report on standard output; failure where the observer cannot run.
pub fn check(config: &Config, json: bool) -> ExitCode {
    let report = judge(&Facts::gather(config, !OBJECT.is_empty()));
    if json {
        println!("{}", report.json());
    } else {
        print!("{report}");
    }
    if report.grade() == Grade::Fatal {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Judges what was found on a machine.
#[must_use]
pub fn judge(facts: &Facts) -> Report {
    let mut findings = vec![kernel(facts)];
    findings.extend(capabilities(facts));
    findings.extend([
        object(facts),
        cgroup(facts),
        other(facts),
        lockdown(facts),
        memory(facts),
        jit(facts),
    ]);
    findings.extend(features(facts));
    findings.push(identity(facts));
    findings.extend(names::judge(&facts.names));
    Report { findings }
}

/// Seen with Debian's release candidates, which are called `7.3~rc5`.
const LOADER: &str = "the loader of programs cannot read this version, and attaches as on the oldest kernels: programs stay attached when \
                      the observer is killed, until another one has run and ended; and --tls needs tracefs, mounted at /sys/kernel/tracing. Take a released kernel";

fn kernel(facts: &Facts) -> Finding {
    let (major, minor) = OLDEST;
    match facts.version() {
        Some(version) if version >= OLDEST && facts.loader.is_ok() => Finding::fine("kernel", &facts.release),
        Some(version) if version >= OLDEST => Finding::degraded("kernel", &facts.release, LOADER.to_owned()),
        Some(_) => Finding::fatal(
            "kernel",
            &facts.release,
            format!("needs Linux {major}.{minor} or newer"),
        ),
        None => Finding::degraded(
            "kernel",
            &facts.release,
            format!("this version cannot be read; {major}.{minor} or newer is needed"),
        ),
    }
}

fn capabilities(facts: &Facts) -> Vec<Finding> {
    let Some(effective) = facts.capabilities else {
        let advice = "mount procfs, so that missing capabilities can be named";
        return vec![Finding::degraded("capabilities", "not readable", advice)];
    };
    let missing = effective.missing();
    let judged = |needed: Capability| {
        if !missing.contains(&needed) {
            let by = if effective.has(needed) {
                "in effect"
            } else {
                "by CAP_SYS_ADMIN"
            };
            return Finding::fine(needed.name(), by);
        }
        Finding::fatal(
            needed.name(),
            "missing",
            format!(
                "needed for {}; run as root, or add it to the container (securityContext.capabilities.add) or the \
                 unit (AmbientCapabilities)",
                needed.purpose()
            ),
        )
    };
    Capability::NEEDED.into_iter().map(judged).collect()
}

fn object(facts: &Facts) -> Finding {
    if facts.object {
        return Finding::fine("kernel programs", "built in");
    }
    Finding::fatal(
        "kernel programs",
        "not built in",
        "build this binary with `cargo xtask build`",
    )
}

fn cgroup(facts: &Facts) -> Finding {
    match &facts.cgroup {
        Ok(Place { path, whole: true }) => Finding::fine("cgroup v2", path),
        Ok(Place { path, whole: false }) => Finding::degraded(
            "cgroup v2",
            format!("{path}, not the root of the hierarchy"),
            "only sockets of processes below it are seen; mount the host's /sys/fs/cgroup (hostPath), or set cgroup-path",
        ),
        Err(error) => Finding::fatal("cgroup v2", "not found", error),
    }
}

/// Not fatal: whoever looks into a running observer's container finds that very one.
fn other(facts: &Facts) -> Finding {
    if facts.taken {
        return Finding::degraded(
            "other observer",
            "attached to this cgroup",
            "it counts already; a second one is refused, because every call would be counted twice",
        );
    }
    Finding::fine("other observer", "none")
}

fn lockdown(facts: &Facts) -> Finding {
    match facts.lockdown.as_deref() {
        Some("confidentiality") => Finding::fatal(
            "lockdown",
            "confidentiality",
            "the kernel denies programs every read of its memory; boot with lockdown=integrity",
        ),
        Some(mode) => Finding::fine("lockdown", mode),
        None => Finding::fine("lockdown", "not said; as good as none"),
    }
}

fn memory(facts: &Facts) -> Finding {
    let charged = facts.version().is_some_and(|version| version < NO_MEMLOCK);
    match (&facts.unlocked, charged) {
        (Ok(()), _) => Finding::fine("locked memory", "unlimited"),
        (Err(_), false) => Finding::fine(
            "locked memory",
            "limited, which this kernel does not apply to maps",
        ),
        (Err(error), true) => Finding::degraded(
            "locked memory",
            format!("limited: {error}"),
            "this kernel charges maps to it; raise it (ulimit -l unlimited, LimitMEMLOCK=infinity) or add CAP_SYS_RESOURCE",
        ),
    }
}

fn jit(facts: &Facts) -> Finding {
    match facts.jit {
        Some(0) => Finding::degraded(
            "bpf jit",
            "off",
            "programs are interpreted, at several times their cost; set net.core.bpf_jit_enable=1",
        ),
        Some(_) => Finding::fine("bpf jit", "on"),
        None => Finding::fine("bpf jit", "not said; always on where the kernel has no switch"),
    }
}

fn features(facts: &Facts) -> Vec<Finding> {
    let lacks = |(name, supported): &(&'static str, Option<bool>)| match supported {
        Some(false) => Some(Finding::fatal(
            "kernel feature",
            format!("no {name}"),
            "this kernel was built without what the programs need (CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF)",
        )),
        _ => None,
    };
    let lacking: Vec<Finding> = facts.features.iter().filter_map(lacks).collect();
    if !lacking.is_empty() {
        return lacking;
    }
    let probed = facts
        .features
        .iter()
        .filter(|(_, supported)| supported.is_some())
        .count();
    let found = if probed == facts.features.len() {
        "all that is needed"
    } else {
        "not probed for want of privileges"
    };
    vec![Finding::fine("kernel features", found)]
}

/// Nothing of this stops the observer; it decides how services get their names.
fn identity(facts: &Facts) -> Finding {
    if facts.hybrid {
        return Finding::degraded(
            "identity",
            "cgroup v1 holds the processes",
            "sockets do not tell services apart by cgroup; the owning process is used instead. Boot with \
             systemd.unified_cgroup_hierarchy=1 for containers by cgroup",
        );
    }
    Finding::fine("identity", "by cgroup")
}

#[cfg(test)]
mod tests;
