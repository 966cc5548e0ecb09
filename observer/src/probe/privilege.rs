//! What the kernel asks of this process before it takes programs: three capabilities, and on old kernels memory
//! that may be locked.

use std::fmt;

use rustix::process::{Resource, Rlimit, setrlimit};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    NetAdmin,
    SysPtrace,
    SysAdmin,
    Perfmon,
    Bpf,
    CheckpointRestore,
}

impl Capability {
    /// What is needed on kernels that have it, that is since 5.8.
    pub const NEEDED: [Self; 3] = [Self::Bpf, Self::NetAdmin, Self::Perfmon];
    /// What probing processes needs besides (`--tls`). Tried on 6.18: the kernel makes user space probes of perf events for
    /// `CAP_SYS_ADMIN` only, `CAP_PERFMON` is not enough.
    pub const NEEDED_FOR_TLS: [Self; 2] = [Self::SysAdmin, Self::SysPtrace];

    /// Number in `linux/capability.h`.
    const fn bit(self) -> u32 {
        match self {
            Self::NetAdmin => 12,
            Self::SysPtrace => 19,
            Self::SysAdmin => 21,
            Self::Perfmon => 38,
            Self::Bpf => 39,
            Self::CheckpointRestore => 40,
        }
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
            Self::CheckpointRestore => "CAP_CHECKPOINT_RESTORE",
        }
    }

    /// What the kernel refuses without it.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::NetAdmin => "attaching programs that see packets",
            Self::SysPtrace => "seeing which TLS libraries other processes have mapped",
            Self::SysAdmin => "probes inside of processes",
            Self::Perfmon => "programs that read what segments hold while they wait",
            Self::Bpf => "loading programs and making maps",
            Self::CheckpointRestore => "reaching libraries that are mapped and deleted on disk",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Capabilities as a set of bits, as the kernel prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Those that are in effect for this process; `None`: procfs does not say.
    #[must_use]
    pub fn effective() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/self/status").ok()?)
    }

    /// Those of another process; `None`: it cannot be seen.
    #[must_use]
    pub fn of_process(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
    }

    #[cfg(test)]
    pub fn of(set: &[Capability]) -> Self {
        Self(set.iter().map(|capability| 1 << capability.bit()).sum())
    }

    fn parse(status: &str) -> Option<Self> {
        let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(bits.trim(), 16).ok().map(Self)
    }

    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 >> capability.bit() & 1 == 1
    }

    /// What is needed and not there. `CAP_SYS_ADMIN` stands in for all three (`bpf_token_capable` in the kernel).
    #[must_use]
    pub fn missing(self) -> Vec<Capability> {
        if self.has(Capability::SysAdmin) {
            return Vec::new();
        }
        Capability::NEEDED
            .into_iter()
            .filter(|needed| !self.has(*needed))
            .collect()
    }
}

impl Capabilities {
    /// What is needed for `--tls` and not there.
    #[must_use]
    pub fn missing_for_tls(self) -> Vec<Capability> {
        Capability::NEEDED_FOR_TLS
            .into_iter()
            .filter(|needed| !self.has(*needed))
            .collect()
    }
}

/// Kernels before 5.11 charge maps to the memory that a process may lock. Returns what the system answered: on newer
/// kernels a refusal means nothing.
pub fn unlock_memory() -> std::io::Result<()> {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    Ok(setrlimit(Resource::Memlock, unlimited)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bits: &str, missing: &[Capability]) {
        let status = format!("Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t{bits}\nCapBnd:\t0\n");
        assert_eq!(Capabilities::parse(&status).unwrap().missing(), missing, "{bits}");
    }

    #[test]
    fn sets() {
        check("000001ffffffffff", &[]);
        check("0000000000200000", &[]); // CAP_SYS_ADMIN
        check("000000c000001000", &[]); // the three
        check("0000008000001000", &[Capability::Perfmon]);
        check("0000004000001000", &[Capability::Bpf]);
        check("000000c000000000", &[Capability::NetAdmin]);
        check("0000000000000000", &Capability::NEEDED);
    }

    #[test]
    fn probing_processes_needs_more() {
        let three = Capabilities::of(&Capability::NEEDED);
        assert_eq!(three.missing_for_tls(), Capability::NEEDED_FOR_TLS);
        let both = Capabilities::of(&Capability::NEEDED_FOR_TLS);
        assert_eq!(both.missing_for_tls(), []);
        assert_eq!(both.missing(), []);
    }

    #[test]
    fn status_without_capabilities() {
        assert_eq!(Capabilities::parse("Name:\tx\n"), None);
        assert_eq!(Capabilities::parse("CapEff:\tzz\n"), None);
    }
}
