//! One pair of programs in one situation: starts them where they have to run, and records their packets.

use std::path::PathBuf;

use anyhow::Result;

use super::counts::{self, Ends};
use super::disturbance::{Pressure, Storm};
use super::dump::{Dump, Flush};
use super::situation::{Judge, Situation};
use super::watch::Watch;
use crate::capture::random::Random;
use crate::namespace::Pair;
use crate::probe_site;
use crate::process::{Place, Process};
use crate::scrape::calls::Side;
use crate::workload::peer::ServerOptions;
use crate::workload::plan::Step;
use crate::workload::tally::Tally;
use crate::workload::{Client, Program, Server};

#[derive(Debug)]
pub struct Stage<'a> {
    pub situation: &'a Situation,
    pub server: &'a Program,
    pub client: &'a Program,
    pub watch: &'a mut Watch,
    pub road: Option<&'a Pair>,
    pub random: Random,
    /// Where the packets go; `None`: they are not recorded.
    pub capture: Option<PathBuf>,
    pub dump: Option<Dump>,
}

/// A call whose end at one socket is not certain.
#[derive(Debug, Clone)]
pub struct Crossed {
    pub side: Side,
    pub method: String,
    pub statuses: [&'static str; 2],
}

/// What the applications counted.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// The truth at the server's socket, and at the client's.
    pub server: Ends,
    pub client: Ends,
    /// DATA payload of requests and responses, where it is certain: no call was given up.
    pub bytes: Option<std::collections::BTreeMap<String, (u64, u64)>>,
    /// How many calls have to be counted at these services' sockets as servers.
    pub services: std::collections::BTreeMap<String, u64>,
    /// Calls whose end at one socket may be the first or the second: ends of both sides crossed on their way to it. The first
    /// is the one that is in the truth.
    pub crossed: Vec<Crossed>,
    /// What the act itself found wrong, and what it measured.
    pub failures: Vec<String>,
    pub figures: Vec<String>,
    /// Implementations, and what they call themselves.
    pub versions: Vec<(String, String)>,
    /// What each program itself calls the ends, where it lived to tell.
    pub server_view: Option<Ends>,
    pub client_view: Option<Ends>,
}

impl Round {
    /// Both programs told everything.
    pub fn of(stage: &Stage<'_>, client: &Tally, server: &Tally) -> Self {
        let (client_view, server_view) = (counts::told(client), counts::told(server));
        let abandoned = client_view
            .keys()
            .any(|(_, status)| stage.situation.alike.contains(&status.as_str()));
        let payload = |(method, of): (&String, &crate::workload::tally::MethodTally)| {
            (method.clone(), (of.request_data(), of.response_data()))
        };
        let judge = stage.situation.judge;
        let (server_truth, client_truth) = match judge {
            Judge::Both => (&server_view, &client_view),
            Judge::Server => (&server_view, &server_view),
        };
        Self {
            server: server_truth.clone(),
            client: client_truth.clone(),
            bytes: (!abandoned && judge == Judge::Both).then(|| client.methods.iter().map(payload).collect()),
            server_view: Some(server_view),
            client_view: Some(client_view),
            versions: vec![
                (stage.client.language.to_string(), client.version.clone()),
                (stage.server.language.to_string(), server.version.clone()),
            ],
            ..Self::default()
        }
    }
}

impl Stage<'_> {
    pub fn plan(&mut self) -> Vec<Step> {
        (self.situation.plan)(&mut self.random)
    }

    /// Starts the server, and the recording of its port.
    pub fn start_server(&mut self) -> Result<Server> {
        let around = &self.situation.around;
        let options = ServerOptions {
            host: around.address.into(),
            place: self.place(self.road.map(Pair::server)),
            max_age_ms: around.max_age_ms,
            keepalive_ms: around.keepalive_ms,
            ..ServerOptions::default()
        };
        let server = self.server.server(&options)?;
        self.await_probes(&server.process)?;
        if let Some(file) = &self.capture {
            self.dump = Some(Dump::start(
                file.clone(),
                server.port,
                &options.place,
                Flush::Lazy,
            )?);
        }
        Ok(server)
    }

    pub fn start_client(&self, server: &Server) -> Result<Client> {
        let place = self.place(self.road.map(Pair::client));
        let client = self.client.client(&server.address(), &place)?;
        self.await_probes(&client.process)?;
        Ok(client)
    }

    /// What a program did before it was found would be another situation.
    pub fn await_probes(&self, process: &Process) -> Result<()> {
        if self.situation.around.tls && self.watch.observer().is_ok() {
            probe_site::await_probes(process.id())?;
        }
        Ok(())
    }

    fn place(&self, road: Option<Place>) -> Place {
        Place {
            namespace: road.and_then(|place| place.namespace),
            ..self.watch.place()
        }
    }

    /// Runs a plan with whatever disturbs it here.
    pub fn run(&self, client: &mut Client, server: &Server, plan: Vec<Step>) -> Result<Tally> {
        let around = &self.situation.around;
        let storm = around
            .storm
            .then(|| Storm::start(&[client.process.id(), server.process.id()]));
        let pressure = around.pressure.then(Pressure::start).transpose()?;
        let tally = client.run(plan);
        drop((storm, pressure));
        tally
    }
}
