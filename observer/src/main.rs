//! The command.

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let settings = observer::daemon::Settings {
        endpoint: observer::endpoint::Settings::new(([0, 0, 0, 0], 9464).into()),
        metrics: observer::metrics::Settings::default(),
        attribution: observer::attribution::Settings::default(),
        pipeline: observer::pipeline::Settings::default(),
        probe: observer::probe::Options { ring_bytes: 1 << 23 },
        cgroup: None,
        database_ports: Vec::new(),
        gauge_interval: std::time::Duration::from_secs(5),
    };
    observer::daemon::run(settings)
}
