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

/// Node.js of this system, which has OpenSSL in it.
pub fn node() -> Result<PathBuf, Error> {
    apt::install(&["nodejs"])?;
    let paths = ["/usr/bin/node", "/usr/bin/nodejs"].map(Path::new);
    let found = paths.into_iter().find(|path| path.exists());
    found
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::Missing("no /usr/bin/node".to_owned()))
}
