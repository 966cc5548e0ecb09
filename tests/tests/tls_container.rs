//! A program with a root of its own, as a container has it: its TLS library is another file than this system's, and no path of
//! this system leads to it.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tests::cgroup::Cgroup;
use tests::observer::{self, Observer};
use tests::prerequisite::or_skip;
use tests::probe_site::await_probes;
use tests::process::Place;
use tests::scrape::calls::Side;
use tests::workload::mixture::{ECHO, mixed_for};
use tests::workload::peer::ServerOptions;
use tests::workload::plan::{Kind, Step};
use tests::workload::{Language, certificates};

const TEST: &str = "counts_in_a_container";
/// Where in the new root its own things are.
const CERTIFICATES: &str = "/certificates";
const FORMER: &str = "former";
/// The folder becomes the root of a mount namespace of its own.
const ENTER: &str = r#"mount --bind "$0" "$0" && cd "$0" && pivot_root . former && exec "$@""#;

#[test]
fn counts_in_a_container() -> Result<()> {
    if or_skip(TEST, observer::prepare()).is_none() {
        return Ok(());
    }
    let (Some(cgroup), Some(certificates), Some(server), Some(client)) = (
        or_skip(TEST, Cgroup::new()),
        or_skip(TEST, certificates::folder()),
        or_skip(TEST, Language::Cpp.prepare()),
        or_skip(TEST, Language::Go.prepare()),
    ) else {
        return Ok(());
    };
    let root = tempfile::tempdir()?;
    let library = furnish(root.path(), server.path(), &certificates)?;
    let place = Place {
        cgroup: Some(cgroup.path().to_owned()),
        ..Place::default()
    };
    let path = cgroup.path().to_string_lossy();
    let observer = Observer::start(&["--tls", "true", "--cgroup-path", &path])?;
    let enter = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        ENTER,
    ];
    let enter = enter.map(OsString::from).into_iter();
    let contained = server.behind(enter.chain([root.path().into()]));
    let options = ServerOptions {
        place: place.clone(),
        ..ServerOptions::default()
    };
    let mut listening = contained.over_tls(Path::new(CERTIFICATES)).server(&options)?;
    let mut calling = client
        .over_tls(&certificates)
        .client(&listening.address(), &place)?;
    let inside = format!("/proc/{}/root{}", listening.process.id(), library.display());
    ensure!(
        std::fs::metadata(&inside)?.ino() != std::fs::metadata(&library)?.ino(),
        "{inside} is this system's"
    );
    await_probes(listening.process.id())?;
    await_probes(calling.process.id())?;
    let mut made = calling.run([Step::new(Kind::Unary, ECHO, 20)])?;
    made.add(&calling.run(mixed_for(Language::Cpp))?);
    let taken = listening.tally_after(made.ended())?;
    observer.expect(Side::Server, &[], &taken)?;
    observer.expect(Side::Client, &[], &made)?;
    let scrape = observer.scrape()?;
    ensure!(
        scrape.sum("marty_observer_connections", &[("protocol", "tls")]) < 0.5,
        "a socket is not tied"
    );
    ensure!(observer.losses()?.is_empty(), "{:?}", observer.losses()?);
    calling.quit()?;
    observer.stop_probing()
}

/// All that the program needs, at the paths that it has here. Gives that of its TLS library.
fn furnish(root: &Path, program: &Path, certificates: &Path) -> Result<PathBuf> {
    std::fs::create_dir(root.join(FORMER))?;
    let listed = Command::new("ldd").arg(program).output()?;
    let listed = String::from_utf8(listed.stdout).context("what ldd says")?;
    let libraries = listed
        .split_ascii_whitespace()
        .filter(|word| word.starts_with('/'));
    for file in libraries.clone().map(Path::new).chain([program]) {
        put(root, file, file)?;
    }
    for name in ["ca.pem", "server.pem", "server.key"] {
        put(
            root,
            &certificates.join(name),
            &Path::new(CERTIFICATES).join(name),
        )?;
    }
    let library = libraries.clone().find(|file| file.contains("libssl.so"));
    library
        .map(PathBuf::from)
        .with_context(|| format!("no libssl among {listed}"))
}

fn put(root: &Path, file: &Path, inside: &Path) -> Result<()> {
    let place = root.join(inside.strip_prefix("/")?);
    std::fs::create_dir_all(place.parent().context("a path without a folder")?)?;
    std::fs::copy(file, place).with_context(|| file.display().to_string())?;
    Ok(())
}
