//! Which compiler builds the kernel object. Two kinds can: a rustup nightly with the standard library's sources,
//! or Debian's rustc-web with its prebuilt `core` for BPF. Only compilers whose LLVM [`crate::linker`] knows are
//! taken. Stable rustup toolchains cannot: they have neither a BPF `core` nor its sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, cargo, parse_version};
use crate::{linker, packages, process};

/// The target of the kernel object: BPF in the machine's byte order.
pub const TARGET: &str = if cfg!(target_endian = "big") {
    "bpfeb-unknown-none"
} else {
    "bpfel-unknown-none"
};

/// Debian's compiler; not what PATH says, where rustup's proxy often comes first.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];

/// A nightly whose LLVM the pinned bpf-linker knows; later ones may have moved on.
const KNOWN_NIGHTLY: &str = "nightly-2026-05-20";

/// Chooses the kind by name (`nightly` or `debian`) instead of the first that works.
const CHOICE: &str = "OBSERVER_KERNEL_TOOLCHAIN";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A toolchain of rustup's, by its name.
    Nightly(String),
    Debian,
}

/// A compiler that can build the kernel object.
#[derive(Debug)]
pub struct Toolchain {
    kind: Kind,
    rustc: PathBuf,
    /// As the compiler tells of itself.
    release: String,
    /// Major version of its LLVM.
    pub llvm: u32,
}

impl Toolchain {
    /// The first of the two kinds that this machine has; installs Debian's where it may.
    pub fn find(workspace: &Workspace) -> Result<Self> {
        let mut refusals = Vec::new();
        if let Some(found) = Self::present(workspace, &mut refusals)? {
            return Ok(found);
        }
        if std::env::var(CHOICE).is_ok_and(|choice| choice == "nightly") {
            bail!(
                "{}",
                advice(&refusals, &anyhow::anyhow!("{CHOICE} allows nothing else"))
            );
        }
        if let Err(error) = packages::install(&DEBIAN_PACKAGES, "building the kernel object") {
            bail!("{}", advice(&refusals, &error));
        }
        if let Some(found) = Self::present(workspace, &mut refusals)? {
            return Ok(found);
        }
        bail!(
            "{}",
            advice(
                &refusals,
                &anyhow::anyhow!("its packages are installed but do not serve")
            )
        );
    }

    fn present(workspace: &Workspace, refusals: &mut Vec<String>) -> Result<Option<Self>> {
        refusals.clear();
        let choice = std::env::var(CHOICE).unwrap_or_default();
        let mut candidates = Vec::new();
        match choice.as_str() {
            "" => candidates.extend(nightlies(refusals).into_iter().chain([Kind::Debian])),
            "nightly" => candidates.extend(nightlies(refusals)),
            "debian" => candidates.push(Kind::Debian),
            other => bail!("{CHOICE} is `{other}`; it may be `nightly` or `debian`"),
        }
        for kind in candidates {
            match Self::examine(kind, workspace) {
                Ok(toolchain) => {
                    println!("kernel object: built by {toolchain}");
                    return Ok(Some(toolchain));
                }
                Err(refusal) => refusals.push(format!("{refusal:#}")),
            }
        }
        Ok(None)
    }

    /// Refuses, with a sentence, a compiler that could not build the kernel object.
    fn examine(kind: Kind, workspace: &Workspace) -> Result<Self> {
        let rustc = match &kind {
            Kind::Nightly(name) => {
                let mut which = process::command("rustup");
                PathBuf::from(process::output(which.args(["which", "rustc", "--toolchain", name]))?.trim())
            }
            Kind::Debian => PathBuf::from(DEBIAN_RUSTC),
        };
        if !rustc.is_file() {
            bail!("{kind}: not installed");
        }
        let mut version = plain(&rustc);
        let about = process::output(version.arg("-vV"))?;
        let release = field(&about, "release")
            .context("rustc -vV names no release")?
            .to_owned();
        let llvm = field(&about, "LLVM version")
            .and_then(parse_version)
            .context("rustc -vV names no LLVM")?
            .0;
        let mut print = plain(&rustc);
        let sysroot = PathBuf::from(process::output(print.args(["--print", "sysroot"]))?.trim());
        if !has_core(&kind, &sysroot) {
            bail!("{kind}: {} is missing", kind.core());
        }
        if let (Some(needed), Some(found)) = (workspace.rust_version(), parse_version(&release))
            && found < needed
        {
            bail!(
                "{kind}: version {release} is older than {}.{}",
                needed.0,
                needed.1
            );
        }
        if !linker::LLVM_VERSIONS.contains(&llvm) {
            bail!(
                "{kind}: its LLVM {llvm} is not one that bpf-linker {} reads",
                linker::VERSION
            );
        }
        Ok(Self {
            kind,
            rustc,
            release,
            llvm,
        })
    }

    /// The compiler's own program file.
    pub fn rustc(&self) -> &Path {
        &self.rustc
    }

    /// A cargo that compiles with this toolchain for [`TARGET`]; `subcommand` comes before the flags.
    pub fn cargo(&self, workspace: &Workspace, subcommand: &str) -> Command {
        let mut command = match &self.kind {
            Kind::Nightly(name) => {
                let mut rustup = process::command("rustup");
                rustup.args(["run", name, "cargo", subcommand, "-Zbuild-std=core"]);
                rustup.env_remove("RUSTC");
                rustup
            }
            Kind::Debian => {
                // The cargo that runs xtask, so that one cargo reads the lockfile; only the compiler differs.
                // Its release is a stable one and the BPF intrinsics are not stable: hence the bootstrap switch.
                let mut command = match subcommand {
                    // Cargo would find rustup's, and that lints with rustup's compiler.
                    "clippy" => process::command(self.rustc.with_file_name("cargo-clippy")),
                    _ => process::command(cargo()),
                };
                command
                    .arg(subcommand)
                    .env("CARGO", cargo())
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1");
                command
            }
        };
        command.args(["--target", TARGET]).current_dir(&workspace.root);
        for other in ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTDOC"] {
            command.env_remove(other);
        }
        command
    }

    /// Whether this toolchain lints too; Debian's linter is a package of its own.
    pub fn has_clippy(&self) -> bool {
        self.rustc.with_file_name("cargo-clippy").is_file()
    }

    /// The Debian package that adds the linter, where that is the way to get it.
    pub fn clippy_package(&self) -> Option<&'static str> {
        (self.kind == Kind::Debian).then_some("rust-web-clippy")
    }

    /// A short word for directory names.
    pub fn word(&self) -> &str {
        match &self.kind {
            Kind::Nightly(name) => name,
            Kind::Debian => "debian",
        }
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (rustc {}, LLVM {})", self.kind, self.release, self.llvm)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nightly(name) => write!(f, "rustup's {name}"),
            Self::Debian => f.write_str("Debian's rustc-web"),
        }
    }
}

impl Kind {
    /// What gives this kind a `core` for BPF.
    fn core(&self) -> &'static str {
        match self {
            Self::Nightly(_) => "its component rust-src",
            Self::Debian => DEBIAN_PACKAGES[1],
        }
    }
}

fn has_core(kind: &Kind, sysroot: &Path) -> bool {
    let rustlib = sysroot.join("lib/rustlib");
    match kind {
        Kind::Nightly(_) => rustlib.join("src/rust/library/core/Cargo.toml").is_file(),
        Kind::Debian => rustlib.join(TARGET).join("lib").is_dir(),
    }
}

/// Names of rustup's nightlies, as rustup lists them.
fn nightlies(refusals: &mut Vec<String>) -> Vec<Kind> {
    let mut list = process::command("rustup");
    let listed = process::output(list.args(["toolchain", "list"])).unwrap_or_default();
    let names: Vec<Kind> = nightly_names(&listed)
        .map(|name| Kind::Nightly(name.to_owned()))
        .collect();
    if names.is_empty() {
        refusals.push(String::from("rustup's nightly: not installed"));
    }
    names
}

fn nightly_names(listed: &str) -> impl Iterator<Item = &str> {
    listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with("nightly"))
}

/// A compiler asked directly, without what an outer cargo or rustup left in the environment.
fn plain(rustc: &Path) -> Command {
    let mut command = process::command(rustc);
    command
        .env_remove("LD_LIBRARY_PATH")
        .env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// The value of one line of `rustc -vV`.
fn field<'a>(about: &'a str, name: &str) -> Option<&'a str> {
    about
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn advice(refusals: &[String], error: &anyhow::Error) -> String {
    format!(
        "no compiler for the kernel object: {}. Either of these gets one:\n  \
         rustup toolchain install {KNOWN_NIGHTLY} --profile minimal --component rust-src\n  \
         sudo apt-get update && sudo apt-get install {}\n({error:#})",
        refusals.join("; "),
        DEBIAN_PACKAGES.join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_compiler_says_of_itself() {
        let about = "rustc 1.96.0 (x)\nbinary: rustc\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(field(about, "release"), Some("1.96.0"));
        assert_eq!(field(about, "LLVM version"), Some("22.1.8"));
        assert_eq!(field(about, "host"), None);
    }

    #[test]
    fn nightlies_among_toolchains() {
        let listed = "stable-x86_64-unknown-linux-gnu (active, default)\nnightly-2026-05-20-x86_64-unknown-linux-gnu\n\
                      nightly-x86_64-unknown-linux-gnu (override)\n1.95.0-x86_64-unknown-linux-gnu\n";
        let names: Vec<&str> = nightly_names(listed).collect();
        assert_eq!(
            names,
            [
                "nightly-2026-05-20-x86_64-unknown-linux-gnu",
                "nightly-x86_64-unknown-linux-gnu"
            ]
        );
        assert_eq!(nightly_names("no installed toolchains\n").count(), 0);
    }

    #[test]
    fn advice_gives_both_commands() {
        let advice = advice(
            &[String::from("rustup's nightly: not installed")],
            &anyhow::anyhow!("no root"),
        );
        assert!(advice.contains("rustup toolchain install nightly-"), "{advice}");
        assert!(
            advice.contains("apt-get install rustc-web libstd-rust-web-dev-bpf"),
            "{advice}"
        );
    }
}
