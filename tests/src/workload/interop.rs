//! The official interoperability servers and clients, of the implementations whose own can be had here: grpc-go's, and
//! grpcio's in both of its programming models.

use std::ffi::OsString;

use super::Language;
use crate::prerequisite::Error;

mod golang;
mod grpcio;

/// Commands that take the options that all official programs share, behind `--`.
#[derive(Debug, Clone)]
pub struct Official {
    pub server: Vec<OsString>,
    pub client: Vec<OsString>,
}

impl Official {
    pub fn prepare(language: Language) -> Result<Self, Error> {
        match language {
            Language::Go => golang::prepare(),
            Language::Python => grpcio::prepare("tests"),
            Language::PythonAsyncio => grpcio::prepare("tests_aio"),
            other => Err(Error::Missing(missing(other).unwrap_or("unknown").to_owned())),
        }
    }
}

/// Why an implementation's own programs are not run.
pub fn missing(language: Language) -> Option<&'static str> {
    match language {
        Language::Go | Language::Python | Language::PythonAsyncio => None,
        Language::Rust => {
            Some("tonic's official programs are published in its repository only, in no registry")
        }
        Language::Node => {
            Some("grpc-js's official programs are published in its repository only, in no registry")
        }
        Language::Grpclib => Some("grpclib has no official programs"),
        Language::Java => Some(
            "grpc-java's official programs are in no Debian package, and their sources need test libraries of Maven's",
        ),
        Language::Cpp => Some(
            "grpc++'s official programs are in no Debian package, and their sources need private parts of its core",
        ),
    }
}
