//! Goes through processes and remembers what it has judged: each file once, however many processes map it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::access::{self, Reached};
use super::bytes::Opened;
use super::layer::Layer;
use super::maps::{self, Mapping};
use super::name::Name;
use super::{FileId, Found, Reason, Target, judge};

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub file: FileId,
    /// As the first process names it, at most 512 bytes of it; empty when there is nothing to say of it.
    pub shown: PathBuf,
    /// Processes that had it mapped in the last scan.
    pub processes: u32,
    /// Usually one; empty: no TLS.
    pub verdicts: Vec<Verdict>,
    /// What lies under it, if it is of an overlay: one of those that share it is the target.
    layer: Option<Layer>,
    /// Whether it was returned as a target.
    told: bool,
    /// Size and time of the last change, of a file that could be opened.
    state: Option<State>,
    /// The scan that looked last.
    pass: u64,
    tries: u8,
    /// Scans in a row in which no process had it mapped.
    absent: u8,
}

pub type Verdict = Result<Found, Reason>;

type State = (u64, (i64, u64));

/// Finds targets. Reading may take long (a file on a network): it belongs on a thread of its own.
#[derive(Debug)]
pub struct Scout {
    procfs: PathBuf,
    known: FxHashMap<FileId, Judged>,
    /// Files of layers that are targets, with size and time: not all file systems have a name of their own.
    layers: FxHashSet<(Layer, State)>,
    pass: u64,
    hidden: u32,
    refused: u64,
}

/// Files in mind: a node with 500 different images has some 10,000, most of which have no TLS.
const MAX_KNOWN: usize = 16 * 1024;
/// Of a path that is kept.
const MAX_SHOWN: usize = 512;
/// Processes of one scan that are asked for a file that could not be opened: the first may have been about to end.
const MAX_TRIES: u8 = 3;
/// Scans without a process before a target is given up: one could have come in between a program's end and its restart.
const MAX_ABSENT: u8 = 2;

impl Default for Scout {
    fn default() -> Self {
        Self::new()
    }
}

impl Scout {
    #[must_use]
    pub fn new() -> Self {
        Self {
            procfs: PathBuf::from("/proc"),
            known: FxHashMap::default(),
            layers: FxHashSet::default(),
            pass: 0,
            hidden: 0,
            refused: 0,
        }
    }

    /// All processes of now. A target that was returned before and has another content now is returned again: it
    /// replaces the former one of the same file.
    pub fn scan(&mut self) -> Vec<Target> {
        self.pass += 1;
        self.hidden = 0;
        for judged in self.known.values_mut() {
            judged.processes = 0;
        }
        let mut targets = Vec::new();
        let entries = fs::read_dir(&self.procfs).into_iter().flatten().flatten();
        for process in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
            self.look(process, &mut targets);
        }
        for judged in self.known.values_mut() {
            judged.absent = if judged.processes > 0 {
                0
            } else {
                judged.absent.saturating_add(1)
            };
        }
        targets
    }

    /// One process, which mapped something or begins to speak TLS.
    pub fn look_at(&mut self, process: u32) -> Vec<Target> {
        let mut targets = Vec::new();
        self.look(process, &mut targets);
        targets
    }

    /// A process has mapped it: its probes stay, however short-lived its processes are.
    pub fn saw(&mut self, file: FileId) {
        if let Some(judged) = self.known.get_mut(&file) {
            judged.absent = 0;
        }
    }

    /// Whether there is nothing new to find out of a file. An inode that was given to another file is not told here; the
    /// next scan does.
    #[must_use]
    pub fn knows(&self, file: FileId) -> bool {
        self.known.get(&file).is_some_and(|judged| judged.state.is_some())
    }

    pub fn judged(&self) -> impl Iterator<Item = &Judged> {
        self.known.values()
    }

    /// Forgets files that no process has mapped for some scans, and returns those of them that were targets: their
    /// probes can go.
    pub fn retire(&mut self) -> Vec<FileId> {
        let mut retired = Vec::new();
        let is_gone = |judged: &Judged| judged.absent >= MAX_ABSENT;
        // One container of an image has ended and others have not: the probes are theirs, too.
        let present = self.known.values().filter(|judged| !is_gone(judged));
        let shared: FxHashSet<_> = present.filter_map(Judged::shared).collect();
        self.layers.retain(|layer| shared.contains(layer));
        self.known.retain(|file, judged| {
            let gone = is_gone(judged);
            let kept = judged.told && judged.shared().is_some_and(|layer| shared.contains(&layer));
            if gone && judged.told && !kept {
                retired.push(*file);
            }
            !gone || kept
        });
        retired
    }

    /// Processes whose mappings could not be read in the last scan: without `CAP_SYS_PTRACE` those of other users.
    #[must_use]
    pub fn hidden(&self) -> u32 {
        self.hidden
    }

    /// Files that were not judged because too many are in mind.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn look(&mut self, process: u32, targets: &mut Vec<Target>) {
        let folder = self.procfs.join(process.to_string());
        let mappings = File::open(folder.join("maps")).and_then(maps::read);
        match mappings {
            Ok(mappings) => {
                for mapping in mappings {
                    self.consider(&folder, &mapping, targets);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => self.hidden += 1,
            // It has ended.
            Err(_) => {}
        }
    }

    fn consider(&mut self, folder: &Path, mapping: &Mapping, targets: &mut Vec<Target>) {
        let file = mapping.file;
        let full = self.known.len() >= MAX_KNOWN;
        if full && !self.known.contains_key(&file) {
            self.refused += 1;
            return;
        }
        let judged = self.known.entry(file).or_insert_with(|| Judged::unknown(file));
        judged.processes = judged.processes.saturating_add(1);
        if !judged.is_due(self.pass) {
            return;
        }
        match Name::judge(&mapping.path) {
            Name::Without => judged.settle(Vec::new(), mapping),
            Name::Skipped(reason) => judged.settle(vec![Err(reason)], mapping),
            Name::Open => match access::reach(folder, mapping) {
                Ok(reached) => judged.renew(reached, mapping, &mut self.layers, targets),
                // What was judged before keeps its verdict: its file may be gone from the disk and be mapped still.
                Err(_) if judged.state.is_some() => {}
                // The next process that has it mapped is asked.
                Err(Reason::Ended) => {}
                Err(reason) => judged.say(vec![Err(reason)], &mapping.path),
            },
        }
    }
}

impl Judged {
    fn unknown(file: FileId) -> Self {
        Self {
            file,
            shown: PathBuf::new(),
            processes: 0,
            verdicts: Vec::new(),
            layer: None,
            told: false,
            state: None,
            pass: 0,
            tries: 0,
            absent: 0,
        }
    }

    #[cfg(test)]
    pub fn of(shown: &str, processes: u32, verdicts: Vec<Verdict>) -> Self {
        let file = FileId { device: 1, inode: 1 };
        Self {
            shown: shown.into(),
            processes,
            verdicts,
            ..Self::unknown(file)
        }
    }

    #[must_use]
    pub fn is_target(&self) -> bool {
        self.verdicts.iter().any(Result::is_ok)
    }

    /// Whether it is to be looked at: once in a scan, and what could not be opened some more times.
    fn is_due(&mut self, pass: u64) -> bool {
        let first = self.pass != pass || (pass == 0 && self.tries == 0);
        self.pass = pass;
        self.tries = if first { 0 } else { self.tries };
        if !first && (self.state.is_some() || self.tries >= MAX_TRIES) {
            return false;
        }
        self.tries = self.tries.saturating_add(1);
        true
    }

    fn settle(&mut self, verdicts: Vec<Verdict>, mapping: &Mapping) {
        self.state = Some((0, (0, 0)));
        self.say(verdicts, &mapping.path);
    }

    /// The file of a layer, as long as it is a target.
    fn shared(&self) -> Option<(Layer, State)> {
        let layer = self.layer.clone().filter(|_| self.is_target())?;
        Some((layer, self.state?))
    }

    fn renew(
        &mut self,
        reached: Reached,
        mapping: &Mapping,
        layers: &mut FxHashSet<(Layer, State)>,
        targets: &mut Vec<Target>,
    ) {
        let Reached {
            file,
            path,
            size,
            modified,
        } = reached;
        let state = Some((size, modified));
        if self.state == state {
            return;
        }
        self.state = state;
        let opened = Opened {
            file: &file,
            length: size,
        };
        let verdicts = judge::judge(&opened, &mapping.path);
        self.layer = Layer::of(&file);
        self.say(verdicts, &mapping.path);
        // Another container has it, and its probes are hit by this one, too.
        if !self.is_target() || self.shared().is_some_and(|shared| !layers.insert(shared)) {
            return;
        }
        self.told = true;
        let opened = Arc::new(file);
        let verdicts = self.verdicts.iter().flatten();
        targets.extend(verdicts.map(|found| {
            let Found {
                library,
                version,
                points,
                random,
            } = found.clone();
            Target {
                file: self.file,
                path: path.clone(),
                shown: mapping.path.clone(),
                library,
                version,
                points,
                random,
                opened: Arc::clone(&opened),
            }
        }));
    }

    fn say(&mut self, verdicts: Vec<Verdict>, path: &Path) {
        use std::os::unix::ffi::OsStrExt;
        let path = path.as_os_str().as_bytes();
        let path = path.get(..path.len().min(MAX_SHOWN)).unwrap_or_default();
        self.shown = if verdicts.is_empty() {
            PathBuf::new()
        } else {
            std::ffi::OsStr::from_bytes(path).into()
        };
        self.verdicts = verdicts;
    }
}

#[cfg(test)]
mod tests;
