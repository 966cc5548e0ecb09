//! Why a file is not probed, in words for whoever runs `observer check --targets`.

/// One word for each cause; the text says what it means and, where something can be done, what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("its process ended while it was looked at")]
    Ended,
    #[error("deleted on disk, and CAP_CHECKPOINT_RESTORE is missing to reach what is still mapped")]
    Deleted,
    #[error(
        "another file has its path by now, and CAP_CHECKPOINT_RESTORE is missing to reach the one that is mapped"
    )]
    Replaced,
    #[error(
        "not readable: {0}; CAP_SYS_PTRACE lets the observer into other processes' files, CAP_DAC_READ_SEARCH into private ones"
    )]
    Denied(String),
    #[error("not readable: {0}")]
    Unreadable(String),
    #[error("for another machine: {0}")]
    Foreign(&'static str),
    #[error("damaged: {0}")]
    Damaged(&'static str),
    #[error("`{0}` is there more than once")]
    Ambiguous(&'static str),
    #[error("`{0}` is missing")]
    Incomplete(&'static str),
    #[error("`{0}` cannot be disassembled to its end")]
    Undecodable(&'static str),
    #[error("`{0}` does not begin as Go code does: the table of functions was misread")]
    NotGo(&'static str),
    #[error("{0}: older Go passes arguments on the stack; 1.17 or newer is needed")]
    OldGo(String),
    #[error("Go of unknown version: {0}")]
    NamelessGo(&'static str),
    #[error("Go without a table of functions that can be read: {0}")]
    NoGoTable(&'static str),
    #[error("Java: code is made at run time")]
    Java,
    #[error("rustls: it has no stable functions to probe")]
    Rustls,
    #[error("GnuTLS: not supported")]
    GnuTls,
    #[error("BoringSSL without symbols, and its functions cannot be told for certain: {0}")]
    StrippedBoringSsl(&'static str),
}
