//! Where the calls of a connection are counted: looked up once, then an index.

use super::{Connection, Name};
use crate::attribution::Attributed;
use crate::metrics::{End, Method, MethodCells, Recorder, ServiceCells, ServiceLabels};
use crate::rpc::Ended;
use crate::session::{MethodIndex, Side};

#[derive(Debug, Default)]
pub(super) struct Cells {
    /// Server side only: what counts the connection as active.
    pub(super) service: Option<ServiceCells>,
    /// By [`MethodIndex`].
    pub(super) methods: Vec<Option<MethodCells>>,
}

impl Connection {
    /// The cells of a method; `None`: calls of this side are not counted.
    #[inline]
    pub(super) fn cells(&mut self, method: MethodIndex, recorder: &mut Recorder) -> Option<&mut MethodCells> {
        let index = method.index();
        if self.cells.methods.get(index).is_none_or(Option::is_none) {
            self.make_cells(method, recorder)?;
        }
        self.cells.methods.get_mut(index)?.as_mut()
    }

    #[cold]
    fn make_cells(&mut self, method: MethodIndex, recorder: &mut Recorder) -> Option<()> {
        let made = self.make(method, recorder)?;
        let index = method.index();
        if self.cells.methods.len() <= index {
            self.cells.methods.resize(index + 1, None);
        }
        *self.cells.methods.get_mut(index)? = Some(made);
        Some(())
    }

    fn make(&mut self, method: MethodIndex, recorder: &mut Recorder) -> Option<MethodCells> {
        let Name::Known(attributed) = &self.name else {
            return None;
        };
        let session = self.session.as_ref()?;
        let side = match session.side()? {
            Side::Server => crate::metrics::Side::Server,
            Side::Client if recorder.registry().settings().client => crate::metrics::Side::Client {
                peer: &attributed.peer,
            },
            Side::Client => return None,
        };
        let service = recorder.service(&labels(attributed));
        let path = match method {
            MethodIndex::UNKNOWN => Method::Unknown,
            MethodIndex::OTHER => Method::Other,
            known => Method::Path(session.method(known)),
        };
        let cells = recorder.method(&service, side, path);
        if matches!(side, crate::metrics::Side::Server) && self.cells.service.is_none() {
            self.cells.service.insert(service).connection_opened(recorder);
        }
        Some(cells)
    }
}

pub(super) fn labels(attributed: &Attributed) -> ServiceLabels<'_> {
    let identity = &attributed.identity;
    ServiceLabels {
        service: &identity.service,
        namespace: &identity.namespace,
        pod: &identity.pod,
    }
}

pub(super) fn tell_end(cells: &mut MethodCells, ended: &Ended, recorder: &mut Recorder) {
    cells.bytes(recorder, ended.request_bytes, ended.response_bytes);
    cells.ended(recorder, end_of(ended));
}

/// As the metrics see it.
pub(in crate::pipeline) fn end_of(ended: &Ended) -> End {
    End {
        status: ended.status,
        // A call whose end was not seen has no duration either.
        duration_nanoseconds: ended
            .started
            .filter(|_| ended.status != crate::rpc::Status::Unobserved)
            .map(|started| ended.ended.saturating_sub(started)),
        was_started: ended.started.is_some(),
    }
}
