//! grpcio as it is shipped: wheels of several years, each with a `BoringSSL` in its one library.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{cache, python};
use crate::prerequisite::{Error, get};

/// A wheel of grpcio, which has `BoringSSL` in it.
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    pub version: &'static str,
    python: &'static str,
    platform: &'static str,
}

/// The first has its names; the last is for another C library, by another compiler.
pub const WHEELS: [Wheel; 3] = [
    Wheel {
        version: "1.30.0",
        python: "38",
        platform: "manylinux2010_x86_64",
    },
    Wheel {
        version: "1.60.0",
        python: "311",
        platform: "manylinux2014_x86_64",
    },
    Wheel {
        version: "1.76.0",
        python: "311",
        platform: "musllinux_1_2_x86_64",
    },
];

impl Wheel {
    /// Its one library.
    pub fn library(self) -> Result<PathBuf, Error> {
        let Self {
            version,
            python,
            platform,
        } = self;
        let environment = grpcio()?;
        let key = format!("{version} {python} {platform}");
        let folder = cache::folder(&format!("tls-grpcio-{version}"), &key, |folder| {
            let pip = "-m pip --disable-pip-version-check download --quiet --no-deps --only-binary :all:";
            let mut command = Command::new(environment.join("bin/python"));
            command.args(pip.split(' ')).arg("--dest").arg(folder);
            command.args(["--python-version", python, "--platform", platform]);
            get(command.arg(format!("grpcio=={version}")))?;
            let wheel = only(folder, |path| {
                path.extension().is_some_and(|extension| extension == "whl")
            })?;
            let mut unpack = Command::new(environment.join("bin/python"));
            get(unpack.args(["-m", "zipfile", "--extract"]).args([&wheel, folder]))?;
            Ok(std::fs::remove_file(wheel)?)
        })?;
        only(&folder.join(LIBRARY), is_library)
    }
}

/// Where a package of grpcio has its library.
const LIBRARY: &str = "grpc/_cython";

fn is_library(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    name.starts_with("cygrpc") && path.extension().is_some_and(|extension| extension == "so")
}

fn grpcio() -> Result<PathBuf, Error> {
    python::environment("python", &cache::sources().join("python/requirements.txt"))
}

/// The folder of packages of the environment that grpcio's programs run in.
fn packages() -> Result<PathBuf, Error> {
    let libraries = grpcio()?.join("lib");
    Ok(only(&libraries, Path::is_dir)?.join("site-packages"))
}

/// The library that grpcio's programs have here.
pub fn grpcio_library() -> Result<PathBuf, Error> {
    only(&packages()?.join(LIBRARY), is_library)
}

/// A folder of Python packages with a grpcio whose `BoringSSL` nobody can tell the functions of: the name that they are found by
/// is another.
pub fn grpcio_of_unknown_shape() -> Result<PathBuf, Error> {
    const NAME: &[u8] = b"/ssl/ssl_lib.cc\0";
    let packages = packages()?;
    let key = std::fs::read_to_string(cache::sources().join("python/requirements.txt"))?;
    cache::folder("tls-grpcio-unknown", &key, |folder| {
        get(Command::new("cp")
            .arg("-r")
            .arg(packages.join("grpc"))
            .arg(folder))?;
        let library = only(&folder.join(LIBRARY), is_library)?;
        let mut bytes = std::fs::read(&library)?;
        let place = bytes.windows(NAME.len()).position(|here| here == NAME);
        let place = place.ok_or_else(|| Error::Broken("no BoringSSL in grpcio".to_owned()))?;
        if let Some(first) = bytes.get_mut(place) {
            *first = b'_';
        }
        Ok(std::fs::write(library, bytes)?)
    })
}

/// The one thing in a folder whose name fits.
fn only(folder: &Path, fits: impl Fn(&Path) -> bool) -> Result<PathBuf, Error> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if fits(&path) {
            return Ok(path);
        }
    }
    Err(Error::Missing(format!(
        "nothing that fits in {}",
        folder.display()
    )))
}
