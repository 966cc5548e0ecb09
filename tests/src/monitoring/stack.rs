//! Everything at once: a real gRPC service, an observer that sees it, Prometheus with the shipped configuration and rules,
//! Alertmanager with the shipped routes.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::prometheus::Prometheus;
use super::webhook::Webhook;
use super::{Server, Servers, application, deploy};
use crate::cgroup::Cgroup;
use crate::observer::Observer;
use crate::process::Place;
use crate::workload::{self, Client, Program};

/// The name that the configuration gives to the demo service.
pub const SERVICE: &str = "csca-service";

#[derive(Debug)]
pub struct Stack {
    // In the order of their end: who reads before who is read.
    pub prometheus: Prometheus,
    alertmanager: Server,
    node_exporter: Server,
    pub webhook: Webhook,
    pub observer: Observer,
    pub client: Client,
    database_client: Client,
    database: workload::Server,
    folder: PathBuf,
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Nobody writes there any more that matters.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Stack {
    /// All of them, started; the service is the caller's, who may end it.
    pub fn start(servers: &Servers, program: &Program, cgroup: &Cgroup) -> Result<(Self, workload::Server)> {
        let folder = workload::cache::target_directory().join(format!("stack-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let place = Place {
            cgroup: Some(cgroup.path().to_owned()),
            ..Place::default()
        };
        let options = || workload::peer::ServerOptions {
            place: place.clone(),
            ..workload::peer::ServerOptions::default()
        };
        let service = program.server(&options())?;
        // Any connection to its port counts as one to a database.
        let database = program.server(&options())?;
        let observer = observe(&folder, cgroup, service.port, database.port)?;
        let client = program.client(&service.address(), &place)?;
        let database_client = program.client(&database.address(), &place)?;

        let webhook = Webhook::start()?;
        let configuration = told_by(&webhook, &folder)?;
        let alertmanager = servers.alertmanager(&configuration, &folder.join("alertmanager"))?;
        let node_exporter = servers.node_exporter()?;
        let application = application::start()?;
        let prometheus = Prometheus::start(
            servers,
            &folder,
            &[
                ("localhost:9464", observer.address()),
                ("localhost:9093", alertmanager.address()),
                ("localhost:9100", node_exporter.address()),
                ("localhost:8080", &application),
            ],
        )?;
        let stack = Self {
            prometheus,
            alertmanager,
            node_exporter,
            webhook,
            observer,
            client,
            database_client,
            database,
            folder,
        };
        Ok((stack, service))
    }

    /// The one that opens connections to the database.
    pub fn database_client(&mut self) -> &mut Client {
        &mut self.database_client
    }

    pub fn report(&self) -> String {
        format!(
            "Alertmanager:{}\nnode-exporter:{}\nthe database is at port {}; told so far:{}",
            self.alertmanager.report(),
            self.node_exporter.report(),
            self.database.port,
            self.webhook.summary()
        )
    }
}

fn observe(folder: &Path, cgroup: &Cgroup, service: u16, database: u16) -> Result<Observer> {
    let file = folder.join("observer.yaml");
    let text = format!(
        "services:\n  - {{service: {SERVICE}, port: {service}}}\n  - {{service: database, port: {database}}}\n\
         database_ports: {{postgresql: [{database}]}}\ngauge_interval: 1s\n"
    );
    std::fs::write(&file, text)?;
    Observer::start(&[
        "--config",
        &file.to_string_lossy(),
        "--cgroup-path",
        &cgroup.path().to_string_lossy(),
    ])
}

/// The shipped Alertmanager configuration with its routes, inhibitions and templates; only every receiver is the
/// webhook.
pub fn told_by(webhook: &Webhook, folder: &Path) -> Result<PathBuf> {
    let shipped = std::fs::read_to_string(deploy().join("alertmanager/alertmanager.yml"))?;
    let (before, receivers) = shipped
        .split_once("\nreceivers:\n")
        .context("alertmanager.yml has no receivers")?;
    let names = receivers
        .lines()
        .filter_map(|line| line.strip_prefix("  - name: "));
    let replaced: Vec<String> = names
        .map(|name| {
            format!(
                "  - name: {name}\n    webhook_configs: [{{url: '{}'}}]\n",
                webhook.url()
            )
        })
        .collect();
    let replaced = replaced.concat();
    let templates = folder.join("templates");
    std::fs::create_dir_all(&templates)?;
    std::fs::copy(
        deploy().join("alertmanager/templates/marty.tmpl"),
        templates.join("marty.tmpl"),
    )?;
    let file = folder.join("alertmanager.yml");
    std::fs::write(&file, format!("{before}\nreceivers:\n{replaced}"))?;
    Ok(file)
}
