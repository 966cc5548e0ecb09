//! What differs between the processors of guests.

use crate::process;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    X86,
    Arm,
}

impl Architecture {
    pub const ALL: [Self; 2] = [Self::X86, Self::Arm];

    /// As Debian calls it, and as the names of its kernels end.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86 => "amd64",
            Self::Arm => "arm64",
        }
    }

    /// As Rust calls it.
    pub fn machine_name(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "aarch64",
        }
    }

    /// That of a kernel, by its name. Kernels that a person put into the folder may be called as they like.
    pub fn of(kernel: &str) -> Self {
        if kernel.ends_with(Self::Arm.debian()) {
            Self::Arm
        } else {
            Self::X86
        }
    }

    /// The emulator, and the package that has it.
    pub fn emulator(self) -> (&'static str, &'static str) {
        match self {
            Self::X86 => ("qemu-system-x86_64", "qemu-system-x86"),
            Self::Arm => ("qemu-system-aarch64", "qemu-system-arm"),
        }
    }

    /// The machine and its processor.
    pub fn machine(self) -> [&'static str; 4] {
        match self {
            Self::X86 => ["-machine", "q35", "-cpu", "max"],
            // Not `max`: emulating its pointer authentication takes most of the time.
            Self::Arm => ["-machine", "virt", "-cpu", "cortex-a57"],
        }
    }

    /// What is told to the kernel.
    pub fn parameters(self) -> &'static str {
        match self {
            // On a busy host the emulated timer may be too late for the kernel's check of it.
            Self::X86 => "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off",
            Self::Arm => "console=ttyAMA0 quiet panic=-1 mitigations=off",
        }
    }

    /// The serial line that the tests write to; the kernel's console is another one. The second one of `virt` is a card,
    /// which is the first of its kind.
    pub fn line(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::X86 => ("/dev/ttyS1", &["-device", "isa-serial,chardev=said"]),
            Self::Arm => ("/dev/ttyS0", &["-device", "pci-serial,chardev=said"]),
        }
    }

    /// Rust's name for programs that need nothing but the kernel.
    pub fn target(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-unknown-linux-gnu",
            Self::Arm => "aarch64-unknown-linux-musl",
        }
    }

    /// The compiler of C programs where it is not this machine's own, and its packages.
    fn compiler(self) -> Option<(&'static str, [&'static str; 2])> {
        match self {
            Self::X86 => None,
            Self::Arm => Some((
                "aarch64-linux-gnu-gcc",
                ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
            )),
        }
    }

    /// Programs that have to be here, with the packages that bring them.
    pub fn programs(self) -> Vec<(&'static str, Vec<&'static str>)> {
        let (emulator, package) = self.emulator();
        let mut programs = vec![(emulator, vec![package]), ("busybox", vec!["busybox-static"])];
        programs.extend(
            self.compiler()
                .map(|(compiler, packages)| (compiler, packages.into())),
        );
        programs
    }

    /// Makes cargo build for it from here.
    pub fn cross(self, build: &mut std::process::Command) {
        if let Some((compiler, _)) = self.compiler() {
            let target = self.target().replace('-', "_");
            build.env(format!("CARGO_TARGET_{}_LINKER", target.to_uppercase()), compiler);
            build.env(format!("CC_{target}"), compiler);
        }
    }

    /// Sees to it that this Rust has a standard library for it.
    pub fn standard_library(self) -> anyhow::Result<()> {
        if self == Self::X86 {
            return Ok(());
        }
        let library = ["--print", "target-libdir", "--target", self.target()];
        let folder = process::output(process::command("rustc").args(library))?;
        if std::path::Path::new(folder.trim()).is_dir() {
            return Ok(());
        }
        process::run(process::command("rustup").args(["target", "add", self.target()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_say_what_they_are_for() {
        assert_eq!(Architecture::of("6.12.118+deb13-cloud-arm64"), Architecture::Arm);
        assert_eq!(Architecture::of("7.3-cloud-amd64"), Architecture::X86);
    }
}
