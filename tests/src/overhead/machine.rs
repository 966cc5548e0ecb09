//! Where figures were measured: what a reader needs to compare them with others.

use std::process::Command;

/// `Linux 6.18.5, x86_64, 2 × AMD EPYC …, 23 GiB`
pub fn describe() -> String {
    let system = rustix::system::uname();
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpus
        .lines()
        .filter_map(|line| {
            line.strip_prefix("model name")?
                .split_once(':')
                .map(|(_, name)| name.trim())
        })
        .collect();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or_default();
    format!(
        "Linux {}, {}, {} × {}, {} GiB",
        system.release().to_string_lossy(),
        system.machine().to_string_lossy(),
        models.len(),
        models.first().unwrap_or(&"unknown processor"),
        kib >> 20
    )
}

/// As `2026-11-20`, by the clock of the machine.
pub fn date() -> String {
    let output = Command::new("date").arg("-u").arg("+%Y-%m-%d").output();
    output.map_or_else(
        |_| "an unknown day".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Processes that want a CPU, on average of the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
