//! What can be seen of the machine without loading anything. Every part may be hidden from a container; that is a
//! value, not an error.

use std::io;
use std::path::Path;

use aya::maps::MapType;
use aya::programs::ProgramType;
use aya::sys::{is_map_supported, is_program_supported};

use super::names::Names;
use crate::attribution::cgroup::membership::Membership;
use crate::attribution::cgroup::path;
use crate::config::Config;
use crate::probe::claim::{Claim, ClaimError};
use crate::probe::privilege::{Capabilities, unlock_memory};
use crate::probe::{self, Root};

/// The cgroup v2 directory that would be attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    pub whole: bool,
}

#[derive(Debug)]
pub struct Facts {
    /// As `uname -r` says.
    pub release: String,
    /// Why the loader of programs cannot read the version, if it cannot.
    pub loader: Result<(), String>,
    pub capabilities: Option<Capabilities>,
    /// Whether this binary has kernel programs in it.
    pub object: bool,
    pub cgroup: Result<Place, String>,
    pub lockdown: Option<String>,
    /// The answer to the wish for unlimited locked memory.
    pub unlocked: io::Result<()>,
    pub jit: Option<u8>,
    /// Name, and whether the kernel has it; `None`: it would not say.
    pub features: Vec<(&'static str, Option<bool>)>,
    /// Whether another observer is attached to that directory.
    pub taken: bool,
    /// Whether the controllers, and with them the containers, are in cgroup v1.
    pub hybrid: bool,
    /// Who tells the names of pods and services.
    pub names: Names,
}

impl Facts {
    /// Looks at this machine.
    #[must_use]
    pub fn gather(config: &Config, object: bool) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        Self {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
            loader: probe::reads_version(),
            capabilities: Capabilities::effective(),
            object,
            cgroup: place(config.cgroup.as_deref()),
            taken: is_taken(config.cgroup.as_deref()),
            lockdown: read("/sys/kernel/security/lockdown").and_then(|text| chosen(&text)),
            unlocked: unlock_memory(),
            jit: read("/proc/sys/net/core/bpf_jit_enable").and_then(|text| text.trim().parse().ok()),
            features: features(),
            hybrid: read("/proc/self/cgroup").is_some_and(|text| is_hybrid(&text)),
            names: Names::gather(config),
        }
    }

    /// Major and minor number of the kernel.
    #[must_use]
    pub fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.release.split(|digit: char| !digit.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

fn place(configured: Option<&Path>) -> Result<Place, String> {
    let root = Root::find(configured).map_err(|error| error.to_string())?;
    let path = root.path.map_or_else(
        || "mounted privately".to_owned(),
        |path| path.display().to_string(),
    );
    Ok(Place {
        path,
        whole: root.whole,
    })
}

/// The claim is given back at once; what cannot be claimed for another reason is told with the directory.
fn is_taken(configured: Option<&Path>) -> bool {
    let claimed = Root::find(configured).map(|root| Claim::take(&root).map(drop));
    matches!(claimed, Ok(Err(ClaimError::Taken(_))))
}

/// The word in brackets.
pub(super) fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word.to_owned())
}

/// Lines of cgroup v1 name their controllers; that of v2 names none. Where v2 tells containers apart all the same, as
/// under a kubelet that makes its folders in every hierarchy, it serves.
pub(super) fn is_hybrid(text: &str) -> bool {
    let Membership { unified, memory, .. } = Membership::parse(text);
    let told_apart = unified.is_some_and(|path| path::Place::parse(&path).rank() >= 2);
    memory.is_some() && !told_apart
}

fn features() -> Vec<(&'static str, Option<bool>)> {
    let program = |name, kind| (name, is_program_supported(kind).ok());
    let map = |name, kind| (name, is_map_supported(kind).ok());
    vec![
        program("programs of type cgroup_skb", ProgramType::CgroupSkb),
        program("programs of type cgroup_sock", ProgramType::CgroupSock),
        program("programs of type sock_ops", ProgramType::SockOps),
        map("socket storage", MapType::SkStorage),
        map("ring buffer", MapType::RingBuf),
    ]
}
