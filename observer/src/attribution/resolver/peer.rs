//! The name of whoever is called: a Service or pod of the catalog, a service that listens on this node, else the
//! address. Name servers are not asked: they would be told of every call.

use std::sync::Arc;
use std::time::Instant;

use observer_ebpf::record::Socket;

use super::super::address;
use super::super::identity::{Identity, Source};
use super::super::service::{self, Facts};
use super::super::socket::{Address, Sockets, State};
use super::Resolver;

impl Resolver {
    pub fn peer(&mut self, socket: &Socket, now: Instant) -> Arc<str> {
        let remote = Address {
            ip: socket.remote,
            port: socket.remote_port,
        };
        let name = self
            .listed(remote)
            .or_else(|| self.listening_here(socket, remote, now));
        name.unwrap_or_else(|| address(socket))
    }

    fn listed(&self, remote: Address) -> Option<Arc<str>> {
        let catalog = self.catalog();
        if let Some(service) = catalog.service_at(remote.ip()) {
            return Some(service.name.as_str().into());
        }
        let pod = catalog.pod_at(remote.ip())?;
        let facts = Facts {
            pod: Some(&pod),
            port: Some(remote.port),
            ..Facts::default()
        };
        let Identity { service, source, .. } = service::identify(&facts, &catalog);
        drop(catalog);
        (source != Source::Unknown).then(|| (*service).into())
    }

    /// A listener in the caller's own network namespace, which is all that an address of this machine can mean.
    fn listening_here(&mut self, socket: &Socket, remote: Address, now: Instant) -> Option<Arc<str>> {
        let sockets = if socket.process != 0 && self.host.sees_processes {
            self.host.sockets_of_process(socket.process, now)
        } else {
            self.host.own_sockets(now)
        }?;
        let local = Address {
            ip: socket.local,
            port: socket.local_port,
        };
        let here = remote.ip().is_loopback() || local.ip == remote.ip || serves(sockets, remote, local);
        let listener = *sockets.listener(remote).filter(|_| here)?;
        let found = self.identify_entry(&listener, now)?;
        let identity = found.identity;
        (identity.source != Source::Unknown).then(|| (*identity.service).into())
    }
}

/// The other end of the connection is on this machine too.
fn serves(sockets: &Sockets, local: Address, remote: Address) -> bool {
    sockets
        .find(local, remote)
        .is_some_and(|entry| entry.state != State::Listen)
}
