//! The numbers: cells that one thread writes and any number of scrapes read.
//!
//! The pipeline owns the [`Recorder`]; everything else holds the [`Registry`]. Counting takes `&mut Recorder`, so
//! that there is one writer by construction, and a cell is a plain load and store instead of a locked
//! read-modify-write. A scrape copies the list of series (a reference each) under a lock that the pipeline takes
//! only when a series comes or goes, and reads the cells without any.
//!
//! Boundary: knows names, labels and values. Does not know connections, HTTP, or how a service was found.

pub mod call;
pub mod catalogue;
pub mod cell;
pub mod collected;
pub mod document;
pub mod exposition;
pub mod family;
pub mod histogram;
pub mod label;
pub mod own;
pub mod process;
pub mod registry;
pub mod render;
pub mod series;
pub mod settings;

use std::sync::Arc;

pub use call::{End, MethodCells, Now, Recorder, ServiceCells};
pub use collected::{Collection, Sample};
pub use exposition::Format;
pub use label::{Method, ServiceLabels, Side, Status};
pub use own::Own;
pub use registry::Registry;
pub use settings::Settings;

/// The two halves: one to count with, one to read from.
pub fn new(settings: Settings) -> (Recorder, Arc<Registry>) {
    let registry = Arc::new(Registry::new(settings));
    (Recorder::new(Arc::clone(&registry)), registry)
}
