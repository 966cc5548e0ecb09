//! CPU time of other processes, to the nanosecond.
//!
//! By the kernel's CPU clock of the process: all its threads, also those that have ended. Where interrupts are accounted
//! to whoever they interrupt (no `CONFIG_IRQ_TIME_ACCOUNTING`, as on the machine of the committed page), this contains the
//! softirqs of loopback traffic and the kernel programs in them, which run in the sender's context. Where they are
//! accounted apart, [`softirq`] has them, of the whole machine.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::wait;

/// The daemon waits 160 ms at most; the rest is for a loaded machine.
const SETTLING: Duration = Duration::from_secs(20);

/// Of a process, since it began.
pub fn of(process: u32) -> Result<Duration> {
    let process = libc::pid_t::try_from(process)?;
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    #[expect(unsafe_code, reason = "no safe wrapper takes the clock of another process")]
    // SAFETY: both calls write to the one variable that they are given, which lives for longer.
    let failed = unsafe {
        libc::clock_getcpuclockid(process, &raw mut clock) != 0
            || libc::clock_gettime(clock, &raw mut time) != 0
    };
    ensure!(!failed, "process {process} has no CPU clock: has it ended?");
    Ok(Duration::new(
        u64::try_from(time.tv_sec)?,
        u32::try_from(time.tv_nsec)?,
    ))
}

/// Time of all CPUs in softirqs, since boot, in the kernel's ticks of 10 ms.
pub fn softirq() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let ticks: Option<u64> = text
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(7)?.parse().ok());
    Ok(Duration::from_millis(
        10 * ticks.context("/proc/stat has no softirq column")?,
    ))
}

/// Whether the kernel accounts interrupts apart from processes; `None` where it does not say how it was built.
pub fn is_irq_apart() -> Option<bool> {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(format!("/boot/config-{release}"))
        .ok()
        .or_else(|| {
            let output = std::process::Command::new("zcat")
                .arg("/proc/config.gz")
                .output()
                .ok()?;
            output
                .status
                .success()
                .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        })?;
    Some(text.lines().any(|line| line == "CONFIG_IRQ_TIME_ACCOUNTING=y"))
}

/// How often the threads of a process gave up their CPU to wait: for a daemon that only waits, how often it woke.
pub fn waits(process: u32) -> Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        let count = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += count
            .and_then(|count| count.trim().parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(sum)
}

/// Until whoever watches has waited three times more: by then it has looked at all that was there, and counted it.
pub fn settle(process: u32) -> Result<()> {
    let before = waits(process)?;
    wait::until(SETTLING, || match waits(process) {
        Ok(now) if now >= before + 3 => Ok(()),
        found => Err(format!("process {process} waited {before} times, now {found:?}")),
    })
}

/// A figure of `/proc/PID/status` in KiB.
pub fn memory(process: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let words = line.with_context(|| format!("no {name} of process {process}"))?;
    let number = words.split_whitespace().next().context("no number")?;
    Ok(number.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process() {
        let before = of(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while of(std::process::id()).unwrap() == before {
            sum += 1;
        }
        assert!(sum < u64::MAX);
        assert!(memory(std::process::id(), "VmRSS").unwrap() > 0);
        assert!(waits(std::process::id()).is_ok());
        // Above what any kernel numbers processes with.
        assert!(of((1 << 22) + 1).is_err());
    }
}
