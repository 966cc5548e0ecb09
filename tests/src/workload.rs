//! Real gRPC programs that count what they do (`workloads/README.md`): how to get, start and drive them.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::prerequisite::Error;

pub mod cache;
pub mod certificates;
pub mod command;
pub mod comparison;
mod cpp;
pub mod go;
pub mod h2load;
pub mod interop;
mod java;
pub mod mixture;
mod node;
pub mod peer;
pub mod plan;
pub mod python;
pub mod rust;
pub mod tally;
pub mod tls;
pub mod wheel;

pub use peer::{Client, Server};
pub use python::environment;

/// An implementation of gRPC, and the programming model where one has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    Python,
    PythonAsyncio,
    Go,
    Rust,
    Node,
    Grpclib,
    Java,
    Cpp,
}

impl Language {
    pub const ALL: [Self; 8] = [
        Self::Python,
        Self::PythonAsyncio,
        Self::Go,
        Self::Rust,
        Self::Node,
        Self::Grpclib,
        Self::Java,
        Self::Cpp,
    ];

    /// Those that can speak TLS and whose library an observer can look into.
    pub const PROBED: [Self; 7] = [
        Self::Go,
        Self::Node,
        Self::Grpclib,
        Self::Cpp,
        Self::Python,
        Self::PythonAsyncio,
        Self::Java,
    ];

    /// Whether its server's program hears of calls of methods that it does not have.
    pub fn hears_of_unknown_methods(self) -> bool {
        !matches!(self, Self::Node | Self::Grpclib)
    }

    /// Gets whatever the language needs, the first time; builds the program, when it has changed.
    pub fn prepare(self) -> Result<Program, Error> {
        let command = match self {
            Self::Python | Self::PythonAsyncio | Self::Grpclib => python::prepare(self),
            Self::Go => go::prepare(),
            Self::Rust => rust::prepare(),
            Self::Node => node::prepare(),
            Self::Java => java::prepare(),
            Self::Cpp => cpp::prepare(),
        };
        Ok(Program {
            language: self,
            command: command?,
            tls: None,
        })
    }
}

/// Names the programs that can be had, a line for each, for whoever takes them elsewhere.
pub fn tell_programs(languages: &[Language]) {
    for language in languages {
        match language.prepare() {
            Ok(program) => println!("{language}={}", program.path().display()),
            Err(error) => eprintln!("{language}: {error}"),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Python => "grpcio",
            Self::PythonAsyncio => "grpcio-asyncio",
            Self::Go => "grpc-go",
            Self::Rust => "tonic",
            Self::Node => "grpc-js",
            Self::Grpclib => "grpclib",
            Self::Java => "grpc-java",
            Self::Cpp => "grpc++",
        })
    }
}

/// A workload that is ready to be started, as often as wanted.
#[derive(Debug, Clone)]
pub struct Program {
    pub language: Language,
    command: Vec<OsString>,
    /// The folder of its certificates.
    tls: Option<PathBuf>,
}

impl Program {
    /// The same program, whose servers and clients speak TLS with the certificates of this folder
    /// ([`certificates::folder`]).
    #[must_use]
    pub fn over_tls(&self, certificates: &Path) -> Self {
        Self {
            tls: Some(certificates.to_owned()),
            ..self.clone()
        }
    }

    /// The same program without TLS.
    #[must_use]
    pub fn in_the_clear(&self) -> Self {
        Self {
            tls: None,
            ..self.clone()
        }
    }

    /// The same program, started by a command in front of it.
    #[must_use]
    pub fn behind(&self, command: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            command: command.into_iter().chain(self.command.iter().cloned()).collect(),
            ..self.clone()
        }
    }

    /// The folder of its certificates, if it speaks TLS.
    pub fn certificates(&self) -> Option<&Path> {
        self.tls.as_deref()
    }

    /// What tells it of its certificates.
    fn security(&self) -> Vec<OsString> {
        let told = |folder: &PathBuf| vec!["--tls".into(), folder.into()];
        self.tls.as_ref().map(told).unwrap_or_default()
    }

    /// One that was built elsewhere.
    pub fn at(language: Language, path: &Path) -> Self {
        Self {
            language,
            command: vec![path.into()],
            tls: None,
        }
    }

    /// The executable; of [`Language::Go`] and [`Language::Rust`] it is all that there is.
    pub fn path(&self) -> &Path {
        self.command.first().map_or(Path::new(""), Path::new)
    }
}
