//! One reading of an observer's `/metrics`: asks over plain HTTP and checks what comes.
//!
//! Boundary: knows where a reading comes from and how it is written, not what the numbers mean.

use std::io;

use thiserror::Error;

pub mod answer;
pub mod text;
pub mod url;

pub use text::Labels;
pub use url::Url;

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot find the host: {0}")]
    Resolve(io::Error),
    #[error("nobody listens there (connection refused); is the observer running?")]
    Refused,
    #[error("no answer in time")]
    TimedOut,
    #[error("{0}")]
    Io(io::Error),
    #[error("the answer is not HTTP/1.1: {0}")]
    Protocol(&'static str),
    #[error("the answer is larger than {} MB", answer::MAX_RESPONSE / 1_000_000)]
    TooLarge,
    #[error("it speaks TLS (--web.config.file), which `observer top` cannot; only plain HTTP is read")]
    Tls,
    #[error("it wants a password or a certificate, which `observer top` cannot give (HTTP {0})")]
    Unauthorized(u16),
    #[error("HTTP {0} instead of metrics")]
    Status(u16),
    #[error(transparent)]
    Text(#[from] text::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
            _ => Self::Io(error),
        }
    }
}

/// Every sample that is there now.
pub fn read(url: &Url, see: impl FnMut(&str, &Labels, f64)) -> Result<(), Error> {
    let body = answer::get(url)?;
    let body = std::str::from_utf8(&body).map_err(|_| Error::Protocol("the text is not UTF-8"))?;
    Ok(text::parse(body, see)?)
}
