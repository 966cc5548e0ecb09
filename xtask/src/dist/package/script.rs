//! What Debian's package manager runs around the files. Nothing of it may fail where systemd does not run: in an image, in a
//! chroot. What an administrator has decided stays: a service that was stopped or disabled is after an upgrade, too.

/// By the names that Debian knows them by.
pub const ALL: [(&str, &str); 4] = [
    ("preinst", BEFORE_INSTALLING),
    ("postinst", AFTER_INSTALLING),
    ("prerm", BEFORE_REMOVING),
    ("postrm", AFTER_REMOVING),
];

/// `configure` is told the last version after an upgrade, and after a removal too; only this one knows the difference.
const BEFORE_INSTALLING: &str = "#!/bin/sh
set -e
if [ \"$1\" = install ] && [ -d /run/systemd/system ]; then
    : >/run/marty-observer.install
fi
";

const AFTER_INSTALLING: &str = "#!/bin/sh
set -e
if [ \"$1\" = configure ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    # The first time; later it is as the administrator left it.
    if [ -z \"$2\" ]; then
        systemctl enable --quiet marty-observer.service
    fi
    action=try-restart
    if [ -e /run/marty-observer.install ]; then
        rm -f /run/marty-observer.install
        if systemctl is-enabled --quiet marty-observer.service; then
            action=restart
        fi
    fi
    systemctl $action marty-observer.service || echo 'marty-observer did not start: journalctl -u marty-observer' >&2
fi
";

/// It stays enabled, for an installation after this.
const BEFORE_REMOVING: &str = "#!/bin/sh
set -e
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
    systemctl stop marty-observer.service || true
fi
";

const AFTER_REMOVING: &str = "#!/bin/sh
set -e
if [ \"$1\" = purge ]; then
    rm -f /etc/systemd/system/multi-user.target.wants/marty-observer.service
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
";

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::process;

    /// A machine with a systemd that only keeps what it was told.
    struct Machine(PathBuf);

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    impl Machine {
        fn new(name: &str, enabled: bool) -> Self {
            let root = std::env::temp_dir().join(format!("xtask-script-{}-{name}", std::process::id()));
            std::fs::create_dir_all(root.join("run/systemd/system")).unwrap();
            let answer = i32::from(!enabled);
            let systemctl = format!(
                "#!/bin/sh\necho \"$1\" >>{}\n[ \"$1\" != is-enabled ] || exit {answer}\n",
                root.join("told").display()
            );
            crate::dist::package::write(&root.join("systemctl"), &systemctl, 0o755).unwrap();
            Self(root)
        }

        fn run(&self, script: &str, arguments: &[&str]) {
            let (_, text) = ALL.iter().find(|(name, _)| *name == script).unwrap();
            let run = format!("{}/", self.0.join("run").display());
            let file = self.0.join(script);
            crate::dist::package::write(&file, &text.replace("/run/", &run), 0o755).unwrap();
            let path = format!("{}:/usr/bin:/bin", self.0.display());
            let mut command = process::command("sh");
            process::run(command.arg(&file).args(arguments).env("PATH", path)).unwrap();
        }

        /// Verbs, without the one that everybody uses.
        fn told(&self) -> Vec<String> {
            let told = std::fs::read_to_string(self.0.join("told")).unwrap_or_default();
            let verbs = told.lines().filter(|verb| *verb != "daemon-reload");
            verbs.map(str::to_owned).collect()
        }
    }

    /// What systemd is told by these scripts, one after the other.
    fn check(name: &str, enabled: bool, scripts: &[(&str, &[&str])], expected: &[&str]) {
        let machine = Machine::new(name, enabled);
        for (script, arguments) in scripts {
            machine.run(script, arguments);
        }
        assert_eq!(machine.told(), expected, "{name}");
        assert!(!Path::new(&machine.0).join("run/marty-observer.install").exists());
    }

    #[test]
    fn first_installation() {
        let scripts: [(&str, &[&str]); 2] = [("preinst", &["install"]), ("postinst", &["configure", ""])];
        check("first", true, &scripts, &["enable", "is-enabled", "restart"]);
    }

    #[test]
    fn upgrade_of_whatever_the_administrator_left() {
        let scripts: [(&str, &[&str]); 3] = [
            ("prerm", &["upgrade", "2"]),
            ("preinst", &["upgrade", "1"]),
            ("postinst", &["configure", "1"]),
        ];
        check("upgrade", true, &scripts, &["try-restart"]);
        check("upgrade-disabled", false, &scripts, &["try-restart"]);
    }

    #[test]
    fn installation_after_a_removal() {
        let scripts: [(&str, &[&str]); 4] = [
            ("prerm", &["remove"]),
            ("postrm", &["remove"]),
            ("preinst", &["install", "1"]),
            ("postinst", &["configure", "1"]),
        ];
        check("again", true, &scripts, &["stop", "is-enabled", "restart"]);
        check(
            "again-disabled",
            false,
            &scripts,
            &["stop", "is-enabled", "try-restart"],
        );
    }
}
