//! Whom one pass measures: every living pod of the catalog, and everybody on attribution's roster.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::account::Books;
use crate::attribution::catalog::{Catalog, Pod};
use crate::attribution::cgroup::path::Place;
use crate::attribution::pod::PodUid;
use crate::attribution::resolver::Resolver;
use crate::attribution::roster::{Account, Roster};
use crate::attribution::{Identity, Source};

#[derive(Clone, Debug)]
pub struct Subject {
    pub account: Account,
    pub identity: Arc<Identity>,
    /// What it was seen to serve.
    pub ports: Vec<u16>,
    /// Of a pod, what the kubelet says.
    pub ready: Option<bool>,
    pub lives: bool,
}

/// The cgroups of pods by UID; found by walking, since the driver, the kubelet's root and the node's own container
/// all have a part in their paths.
#[derive(Debug, Default)]
pub struct PodPaths {
    found: HashMap<PodUid, Box<str>>,
    /// Those that the last walk did not find, and when that was.
    missing: HashSet<PodUid>,
    walked: Option<Instant>,
}

/// A pod that cannot be started has no cgroup, for hours perhaps, and a walk goes over all folders. A pod that is new
/// is looked for at once, and then so often.
const WALK_AGAIN: Duration = Duration::from_secs(15);

/// `kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/…-pod<uid>.slice` below a container's
/// `system.slice/docker-<id>.scope`.
const MAX_DEPTH: usize = 8;

/// Folders looked into by one walk.
const MAX_FOLDERS: usize = 8192;

impl PodPaths {
    pub fn account(&self, uid: &PodUid) -> Option<Account> {
        let path = self.found.get(uid)?;
        Some(Account::Cgroup {
            unified: path.clone(),
            cpuacct: path.clone(),
            memory: path.clone(),
        })
    }

    /// Looks for pods whose cgroup is not known yet.
    fn find(
        &mut self,
        pods: &[(PodUid, Arc<Pod>)],
        roots: impl Iterator<Item = impl AsRef<Path>>,
        now: Instant,
    ) {
        let mut wanted: HashSet<&PodUid> = pods.iter().map(|(uid, _)| uid).collect();
        self.found.retain(|uid, _| wanted.remove(uid));
        let due = self
            .walked
            .is_none_or(|at| now.saturating_duration_since(at) >= WALK_AGAIN);
        if wanted.is_empty() || !due && wanted.iter().all(|uid| self.missing.contains(*uid)) {
            return;
        }
        self.walked = Some(now);
        for root in roots {
            if !wanted.is_empty() {
                self.walk(root.as_ref(), &mut wanted);
            }
        }
        self.missing = wanted.into_iter().cloned().collect();
    }

    fn walk(&mut self, root: &Path, wanted: &mut HashSet<&PodUid>) {
        let mut open = vec![(String::new(), 0)];
        let mut seen = 0;
        while let Some((folder, depth)) = open.pop() {
            let Ok(entries) = fs::read_dir(root.join(folder.trim_start_matches('/'))) else {
                continue;
            };
            for entry in entries.flatten() {
                seen += 1;
                if seen > MAX_FOLDERS {
                    return;
                }
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
                let pods = Place::parse(&path).pods;
                if let Some(uid) = pods.last().filter(|uid| wanted.remove(*uid)) {
                    self.found.entry(uid.clone()).or_insert_with(|| path.into());
                } else if depth < MAX_DEPTH {
                    open.push((path, depth + 1));
                }
            }
        }
    }
}

/// Everybody, once for each account.
pub fn gather(
    books: &Books,
    paths: &mut PodPaths,
    resolver: &mut Resolver,
    catalog: &RwLock<Catalog>,
    roster: &Mutex<Roster>,
    now: Instant,
) -> Vec<Subject> {
    let pods: Vec<(PodUid, Arc<Pod>)> = catalog
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .living()
        .map(|(uid, pod)| (uid.clone(), Arc::clone(pod)))
        .collect();
    paths.find(&pods, books.roots(), now);
    let mut subjects: Vec<Subject> = Vec::with_capacity(pods.len());
    let mut by_account: HashMap<Account, usize> = HashMap::with_capacity(pods.len());
    for (uid, pod) in &pods {
        // A pod that is not started, or could not be, has no cgroup; that it is not ready counts all the same.
        let account = paths.account(uid).unwrap_or_else(|| nowhere(uid));
        by_account.insert(account.clone(), subjects.len());
        subjects.push(Subject {
            account,
            identity: resolver.identify_pod(pod),
            ports: Vec::new(),
            ready: Some(pod.ready),
            lives: true,
        });
    }
    let mut roster = roster.lock().unwrap_or_else(PoisonError::into_inner);
    roster.retain(now, |account| {
        by_account.contains_key(account) || books.lives(account)
    });
    for (account, member) in roster.members() {
        if let Some(subject) = by_account.get(account).and_then(|at| subjects.get_mut(*at)) {
            // It may have been identified before it was listed.
            if member.identity.source != Source::PodUid {
                subject.identity = Arc::clone(&member.identity);
            }
            subject.ports.clone_from(&member.ports);
            continue;
        }
        subjects.push(Subject {
            account: account.clone(),
            identity: Arc::clone(&member.identity),
            ports: member.ports.clone(),
            ready: None,
            lives: books.lives(account),
        });
    }
    subjects
}

/// The account of a pod without a cgroup: nothing is found there.
fn nowhere(uid: &PodUid) -> Account {
    let path: Box<str> = format!("/no-cgroup/{uid}").into();
    Account::Cgroup {
        unified: path.clone(),
        cpuacct: path.clone(),
        memory: path,
    }
}
