//! What can be probed for TLS.
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act { Created, Cleared, Freed, Write, WriteEx, Read, ReadEx, GoHandshake, GoWrite, GoRead, GoReadEnd, GoClose }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point { pub act: Act, pub offset: u64 }
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RandomPlace { pub pointer: Option<u32>, pub offset: u32 }
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId { pub device: u64, pub inode: u64 }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library { OpenSsl, BoringSsl, Go }
#[derive(Clone, Debug)]
pub struct Target { pub file: FileId, pub path: PathBuf, pub shown: PathBuf, pub library: Library, pub version: Option<String>, pub points: Vec<Point>, pub random: Option<RandomPlace> }
