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
#[derive(Debug)]
pub struct PodPaths {
    found: HashMap<PodUid, Box<str>>,
    /// Those that the last walk did not find, and when that was.
    missing: HashSet<PodUid>,
    walked: Option<Instant>,
    /// Pods that the last walk did not find and might have: it was cut off at [`MAX_FOLDERS`].
    left_out: u64,
    /// [`MAX_FOLDERS`], but in tests.
    max_folders: usize,
    /// Who the pods are, at a version of the catalog.
    listed: Option<(u64, Arc<[Listed]>)>,
}

type Listed = (PodUid, Arc<Pod>, Arc<Identity>);

/// A pod that cannot be started has no cgroup, for hours perhaps, and a walk goes over all folders. A pod that is new
/// is looked for at once, and then so often.
const WALK_AGAIN: Duration = Duration::from_secs(15);

/// `kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/…-pod<uid>.slice` below a container's
/// `system.slice/docker-<id>.scope`.
const MAX_DEPTH: usize = 8;

/// Folders seen by one walk in each hierarchy, those in pods that are known not among them. A node has hundreds, and as
/// many again for each container that is a node itself.
const MAX_FOLDERS: usize = 8192;

impl Default for PodPaths {
    fn default() -> Self {
        Self {
            found: HashMap::new(),
            missing: HashSet::new(),
            walked: None,
            left_out: 0,
            max_folders: MAX_FOLDERS,
            listed: None,
        }
    }
}

impl PodPaths {
    pub fn account(&self, uid: &PodUid) -> Option<Account> {
        let path = self.found.get(uid)?;
        Some(Account::Cgroup {
            unified: path.clone(),
            cpuacct: path.clone(),
            memory: path.clone(),
        })
    }

    /// Pods without figures because the walk was cut off.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Every living pod, named; anew only where the catalog is another one.
    fn list(&mut self, catalog: &RwLock<Catalog>, resolver: &mut Resolver) -> Arc<[Listed]> {
        let (version, pods) = {
            let catalog = catalog.read().unwrap_or_else(PoisonError::into_inner);
            let version = catalog.version();
            if let Some((at, listed)) = &self.listed
                && *at == version
            {
                return Arc::clone(listed);
            }
            let pods = catalog.living().map(|(uid, pod)| (uid.clone(), Arc::clone(pod)));
            (version, pods.collect::<Vec<_>>())
        };
        // If the catalog changes meanwhile, they are listed anew in the next pass.
        let named = pods.into_iter().map(|(uid, pod)| {
            let identity = resolver.identify_pod(&pod);
            (uid, pod, identity)
        });
        let listed: Arc<[Listed]> = named.collect();
        self.listed = Some((version, Arc::clone(&listed)));
        listed
    }

    /// Looks for pods whose cgroup is not known yet.
    fn find(&mut self, pods: &[Listed], roots: impl Iterator<Item = impl AsRef<Path>>, now: Instant) {
        let all: HashSet<&PodUid> = pods.iter().map(|(uid, ..)| uid).collect();
        let mut wanted = all.clone();
        self.found.retain(|uid, _| wanted.remove(uid));
        let due = self
            .walked
            .is_none_or(|at| now.saturating_duration_since(at) >= WALK_AGAIN);
        if wanted.is_empty() {
            self.left_out = 0;
            return;
        }
        if !due && wanted.iter().all(|uid| self.missing.contains(*uid)) {
            return;
        }
        self.walked = Some(now);
        let mut whole = true;
        for root in roots {
            if !wanted.is_empty() {
                whole &= self.walk(root.as_ref(), &all, &mut wanted);
            }
        }
        self.left_out = if whole { 0 } else { wanted.len() as u64 };
        self.missing = wanted.into_iter().cloned().collect();
    }

    /// False: there was more than may be looked at.
    fn walk(&mut self, root: &Path, all: &HashSet<&PodUid>, wanted: &mut HashSet<&PodUid>) -> bool {
        let mut open = vec![(String::new(), 0)];
        let mut seen = 0;
        while let Some((folder, depth)) = open.pop() {
            let Ok(entries) = fs::read_dir(root.join(folder.trim_start_matches('/'))) else {
                continue;
            };
            let folders = entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            for entry in folders {
                seen += 1;
                if seen > self.max_folders {
                    return false;
                }
                let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
                let pods = Place::parse(&path).pods;
                match pods.last() {
                    // There is nothing to look for inside of a pod that is known.
                    Some(uid) if wanted.remove(uid) => {
                        self.found.insert(uid.clone(), path.into());
                    }
                    Some(uid) if all.contains(uid) => {}
                    _ if depth < MAX_DEPTH => open.push((path, depth + 1)),
                    _ => {}
                }
            }
        }
        true
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
    let pods = paths.list(catalog, resolver);
    paths.find(&pods, books.roots(), now);
    let mut subjects: Vec<Subject> = Vec::with_capacity(pods.len());
    let mut by_account: HashMap<Account, usize> = HashMap::with_capacity(pods.len());
    for (uid, pod, identity) in pods.iter() {
        // A pod that is not started, or could not be, has no cgroup; that it is not ready counts all the same.
        let account = paths.account(uid).unwrap_or_else(|| nowhere(uid));
        by_account.insert(account.clone(), subjects.len());
        subjects.push(Subject {
            account,
            identity: Arc::clone(identity),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::catalog::tests::pod;

    fn named(number: usize) -> Listed {
        let pod = pod(
            &format!("{number:08x}-7d1f-4e0e-9d3a-0f5f6a7b8c9d"),
            &format!("pod-{number}"),
            &[],
        );
        (
            pod.uid.clone(),
            Arc::new(pod),
            Arc::new(Identity::unknown("node1")),
        )
    }

    const FOLDERS: usize = 16;

    fn few() -> PodPaths {
        PodPaths {
            max_folders: FOLDERS,
            ..PodPaths::default()
        }
    }

    /// Whichever of the two the walk comes to first: a pod that is known, with many files, and one that is new.
    #[test]
    fn a_new_pod_beside_one_with_more_files_than_folders_may_be() {
        for (full, new) in [("burstable", "besteffort"), ("besteffort", "burstable")] {
            let folder = tempfile::tempdir().unwrap();
            let (known, later) = (named(1), named(2));
            let container = folder
                .path()
                .join(format!("kubepods/{full}/pod{}/container", known.0));
            fs::create_dir_all(&container).unwrap();
            for number in 0..=FOLDERS {
                fs::write(container.join(format!("file.{number}")), "").unwrap();
            }
            let mut paths = few();
            paths.find(
                std::slice::from_ref(&known),
                [folder.path()].into_iter(),
                Instant::now(),
            );
            let path = format!("kubepods/{new}/pod{}", later.0);
            fs::create_dir_all(folder.path().join(&path)).unwrap();
            let pods = [known, later];
            paths.find(&pods, [folder.path()].into_iter(), Instant::now());
            assert!(paths.account(&pods[0].0).is_some());
            assert!(paths.account(&pods[1].0).is_some(), "{path}");
            assert_eq!(paths.left_out(), 0);
        }
    }

    #[test]
    fn more_folders_than_a_walk_may_see() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=FOLDERS {
            fs::create_dir(folder.path().join(format!("unit-{number}"))).unwrap();
        }
        let mut paths = few();
        let pods = [named(1), named(2)];
        paths.find(&pods, [folder.path()].into_iter(), Instant::now());
        assert_eq!(paths.left_out(), 2);
        paths.find(&[], [folder.path()].into_iter(), Instant::now());
        assert_eq!(paths.left_out(), 0);
    }
}
