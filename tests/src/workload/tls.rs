//! Programs and libraries with TLS in them, to find probe points in: Go in the forms that it is shipped in, and OpenSSL of
//! several Debian releases.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{cache, go, python};
use crate::prerequisite::{Error, apt, build, get};

/// A Go program with symbols, without, and without at addresses of the loader's choice.
pub fn go_programs() -> Result<[PathBuf; 3], Error> {
    const KINDS: [(&str, &[&str]); 3] = [
        ("plain", &[]),
        ("stripped", &["-ldflags=-s -w"]),
        ("position-independent", &["-ldflags=-s -w", "-buildmode=pie"]),
    ];
    let requirements = cache::sources().join("go/requirements.txt");
    let compiler = python::environment("go", &requirements)?.join("bin/go");
    let sources = cache::sources().join("tls/go");
    let key = cache::contents(&sources, &["main.go"])? + &std::fs::read_to_string(requirements)?;
    let folder = cache::folder("tls-go", &key, |folder| {
        for (name, flags) in KINDS {
            let mut command = Command::new(&compiler);
            go::environment(&mut command, &[])?;
            command.current_dir(&sources).arg("build").args(flags);
            build(command.arg("-o").arg(folder.join(name)))?;
        }
        Ok(())
    })?;
    Ok(KINDS.map(|(name, _)| folder.join(name)))
}

/// OpenSSL of one Debian release.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    suite: &'static str,
    package: &'static str,
    libssl: &'static str,
    libcrypto: &'static str,
    /// With a Python and a C library of its own: that of this system is older than what it needs.
    alone: bool,
}

pub const RELEASES: [Release; 2] = [
    Release {
        suite: "bullseye",
        package: "libssl1.1",
        libssl: "libssl.so.1.1",
        libcrypto: "libcrypto.so.1.1",
        alone: false,
    },
    Release {
        suite: "trixie",
        package: "libssl3t64",
        libssl: "libssl.so.3",
        libcrypto: "libcrypto.so.3",
        alone: true,
    },
];

const ALONE: [&str; 9] = [
    "libc6",
    "libexpat1",
    "libffi8",
    "libpython3.13-minimal",
    "libpython3.13-stdlib",
    "libssl3t64",
    "libzstd1",
    "python3.13-minimal",
    "zlib1g",
];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

impl Release {
    fn folder(self) -> Result<PathBuf, Error> {
        let packages = if self.alone {
            ALONE.as_slice()
        } else {
            &[self.package]
        };
        let key = format!("{} {}", self.suite, packages.join(" "));
        cache::folder(&format!("tls-{}", self.suite), &key, |folder| {
            apt::unpack(self.suite, packages, folder)
        })
    }

    pub fn library(self) -> Result<PathBuf, Error> {
        Ok(self.folder()?.join(LIBRARIES).join(self.libssl))
    }

    /// Whether the random of a connection is at that place of its SSL object.
    pub fn has_random_at(self, pointer: Option<u32>, offset: u32) -> Result<bool, Error> {
        let folder = self.folder()?;
        let libraries = folder.join(LIBRARIES);
        let mut command = if self.alone {
            let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
            command.arg("--library-path").arg(&libraries);
            command.arg(folder.join("usr/bin/python3.13"));
            command.env("PYTHONHOME", folder.join("usr"));
            command
        } else {
            Command::new("/usr/bin/python3")
        };
        let pointer = pointer.map_or_else(|| "-".to_owned(), |pointer| pointer.to_string());
        command
            .arg(cache::sources().join("tls/place.py"))
            .args([&libraries.join(self.libssl), &libraries.join(self.libcrypto)])
            .args([pointer, offset.to_string()]);
        Ok(get(&mut command)?.trim() == "same")
    }
}

/// A client of `BoringSSL`, as Android's tools have it, with its names; its arguments are those of
/// `tls/boring.py` from the third on.
pub fn boring() -> Result<Vec<OsString>, Error> {
    const PACKAGE: &str = "android-libboringssl";
    let folder = cache::folder("tls-boring", PACKAGE, |folder| {
        apt::unpack("bookworm", &[PACKAGE], folder)
    })?;
    let library = |name: &str| folder.join(LIBRARIES).join("android").join(name);
    let requirements = cache::sources().join("python/requirements-grpclib.txt");
    Ok(vec![
        python::environment("grpclib", &requirements)?
            .join("bin/python")
            .into(),
        cache::sources().join("tls/boring.py").into(),
        library("libcrypto.so.0").into(),
        library("libssl.so.0").into(),
    ])
}

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
            let wheel = only(folder, |name| name.ends_with(".whl"))?;
            let mut unpack = Command::new(environment.join("bin/python"));
            get(unpack.args(["-m", "zipfile", "--extract"]).args([&wheel, folder]))?;
            Ok(std::fs::remove_file(wheel)?)
        })?;
        only(&folder.join(LIBRARY), is_library)
    }
}

/// Where a package of grpcio has its library.
const LIBRARY: &str = "grpc/_cython";

fn is_library(name: &str) -> bool {
    name.starts_with("cygrpc") && name.ends_with(".so")
}

fn grpcio() -> Result<PathBuf, Error> {
    python::environment("python", &cache::sources().join("python/requirements.txt"))
}

/// The folder of packages of the environment that grpcio's programs run in.
fn packages() -> Result<PathBuf, Error> {
    let libraries = grpcio()?.join("lib");
    Ok(only(&libraries, |name| name.starts_with("python"))?.join("site-packages"))
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
fn only(folder: &Path, fits: impl Fn(&str) -> bool) -> Result<PathBuf, Error> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&fits) {
            return Ok(entry.path());
        }
    }
    Err(Error::Missing(format!(
        "nothing that fits in {}",
        folder.display()
    )))
}

/// Node.js of this system, which has OpenSSL in it.
pub fn node() -> Result<PathBuf, Error> {
    apt::install(&["nodejs"])?;
    let paths = ["/usr/bin/node", "/usr/bin/nodejs"].map(Path::new);
    let found = paths.into_iter().find(|path| path.exists());
    found
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::Missing("no /usr/bin/node".to_owned()))
}
