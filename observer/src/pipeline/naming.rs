//! Who gives connections their names: `attribution`, or a test.

use std::time::Instant;

use observer_ebpf::record::Socket;

use crate::attribution::{Attributed, Attribution, Resolution};

/// Who says whose a connection is.
pub trait Naming {
    fn resolve(&mut self, connection: u64, socket: &Socket, now: Instant) -> Resolution;
    /// Connections that were pending and no longer are.
    fn answers(&mut self, now: Instant) -> Vec<(u64, Attributed)>;
    /// A better name than the UID of a pod, if there is one by now; or, worth waiting for, than none.
    fn renew(&mut self, connection: u64, socket: &Socket, now: Instant, patient: bool) -> Resolution;
    /// Changes whenever there may be better names.
    fn version(&self) -> u64;
    /// The name for a connection that cannot wait for its own, which may still come.
    fn nobody(&mut self, socket: &Socket) -> Attributed;
    /// Connections that could not be named so far.
    fn missed(&self) -> u64;
}

impl Naming for Attribution {
    fn resolve(&mut self, connection: u64, socket: &Socket, now: Instant) -> Resolution {
        Self::resolve(self, connection, socket, now)
    }

    fn answers(&mut self, now: Instant) -> Vec<(u64, Attributed)> {
        Self::answers(self, now)
    }

    fn renew(&mut self, connection: u64, socket: &Socket, now: Instant, patient: bool) -> Resolution {
        Self::renew(self, connection, socket, now, patient)
    }

    fn version(&self) -> u64 {
        Self::version(self)
    }

    fn nobody(&mut self, socket: &Socket) -> Attributed {
        Self::refuse(self, socket)
    }

    fn missed(&self) -> u64 {
        self.counts.missed + self.counts.refused
    }
}
