//! What the name of a file alone says: most mappings are of few libraries that everything has, and need not be read.

use std::path::Path;

use super::Reason;

/// Names without what follows the first `.so` or `-`, which have never had TLS in them.
const WITHOUT: [&str; 24] = [
    "ld",
    "libc",
    "libm",
    "libdl",
    "librt",
    "libpthread",
    "libresolv",
    "libnsl",
    "libutil",
    "libgcc_s",
    "libstdc++",
    "libz",
    "libzstd",
    "liblzma",
    "libbz2",
    "libcrypto",
    "libpcre2",
    "libselinux",
    "libcap",
    "libexpat",
    "libffi",
    "libuuid",
    "libtinfo",
    "libdbus",
];

/// What is known of a file before it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// There is no TLS in it.
    Without,
    /// There is, and it cannot be probed.
    Skipped(Reason),
    /// It has to be looked at.
    Open,
}

impl Name {
    pub fn judge(path: &Path) -> Self {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        match stem(name) {
            Some("libjvm") => Self::Skipped(Reason::Java),
            Some("libgnutls") => Self::Skipped(Reason::GnuTls),
            Some(stem) if WITHOUT.contains(&stem) => Self::Without,
            _ => Self::Open,
        }
    }
}

/// `libc-2.31.so`, `libc.so.6` and `ld-linux-x86-64.so.2` to `libc` and `ld`; `None`: no shared library.
fn stem(name: &str) -> Option<&str> {
    let (stem, version) = name.split_once(".so")?;
    if !version.is_empty() && !version.starts_with('.') {
        return None;
    }
    Some(stem.split_once('-').map_or(stem, |(stem, _)| stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let judged = |name: &str| Name::judge(&Path::new("/usr/lib").join(name));
        for name in [
            "libc.so.6",
            "libc-2.31.so",
            "ld-linux-x86-64.so.2",
            "libstdc++.so.6.0.30",
        ] {
            assert_eq!(judged(name), Name::Without, "{name}");
        }
        for name in [
            "libssl.so.3",
            "libc",
            "libcurl.so.4",
            "libc.sock",
            "node",
            "libnode.so.108",
            "",
        ] {
            assert_eq!(judged(name), Name::Open, "{name}");
        }
        assert_eq!(judged("libjvm.so"), Name::Skipped(Reason::Java));
        assert_eq!(judged("libgnutls.so.30.34.3"), Name::Skipped(Reason::GnuTls));
    }
}
