//! Stories: who sent what in which order, what of it was seen, and which calls come of it.
//!
//! A story is a text file. Lines that begin with `#` are for the reader. First the socket's state, then what
//! happens, one thing a line, with its time in milliseconds; then, behind `expect`, what must come out, all of
//! it: calls begun and ended, bytes told, losses counted.
//!
//! ```text
//! fresh                                  or: joined (the connection is older than the observer)
//! 0 client request 1 /a.A/One            HEADERS of a usual gRPC request; options below
//! 5 server response 1                    HEADERS of a usual response
//! 5 server data 1 20                     a DATA frame of 20 bytes
//! 6 server trailers 1 0                  HEADERS with grpc-status 0, ending the stream
//! expect
//! started 1 /a.A/One @0
//! ended 1 /a.A/One OK 0-6 0/20           from-to, bytes of request and response
//! ```
//!
//! Acts: `request`, `response`, `trailers`, `trailers-only`, `headers` and `push` (fields on indented lines
//! below), `data`, `reset STREAM CODE`, `goaway LAST`, `settings TABLE-SIZE`, `resize TABLE-SIZE`, `raw TYPE FLAGS
//! STREAM HEX`, `gap`, `fin`, `rst`, `gone`, `released`; and of the observer `expire IDLE`, `end`. Options: `end`
//! (of the stream), `timeout=`, `type=`, `method=`, `status=`, `te=`, `more=NAME:VALUE`, `only` (no fields but those
//! of options), `literal`, `never`, `huffman`, `pad=N`, `priority`, `continuation=N` (bytes per frame);
//! `unseen`: before the observer came; `lost`: the ring was full; both also `=first` or `=rest`, of several frames.
//!
//! Every story is run as it is seen from the server's and the client's socket, and with its frames in pieces of
//! several sizes: the outcome must be the same.

mod act;
mod render;
mod run;

pub use act::{Act, Story};
pub use run::run;
