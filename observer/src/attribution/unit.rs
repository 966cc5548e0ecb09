//! systemd unit names as they stand in cgroup paths: which of them name a service, and how they are escaped.

/// The service that a unit stands for, or nothing where the name is an accident (`session-3.scope`).
///
/// `.service` is dropped, since `csca.service` and the metric label `service="csca"` are the same word said twice;
/// an instance stays (`postgresql@15-main`). Scopes are groups of processes somebody else started: only virtual
/// machines and containers registered with machined have names that last.
pub fn service_name(component: &str) -> Option<String> {
    if let Some(name) = component.strip_suffix(".service") {
        let nameless = name.is_empty() || is_transient(name) || is_user_manager(name);
        return (!nameless).then(|| unescape(name));
    }
    let machine = component.strip_suffix(".scope")?.strip_prefix("machine-")?;
    (!machine.is_empty()).then(|| unescape(machine))
}

/// `systemd-run` numbers (`run-u42`) or randomises (`run-r0f3a…`) what was not named.
fn is_transient(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("run-") else {
        return false;
    };
    let digits = rest.trim_start_matches(['u', 'r', 'p']);
    !digits.is_empty()
        && digits
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || b == b'-' || b == b'i')
}

/// `user@1000.service` holds all that a user runs.
fn is_user_manager(name: &str) -> bool {
    name.strip_prefix("user@")
        .is_some_and(|user| user.bytes().all(|b| b.is_ascii_digit()))
}

/// Undoes `systemd-escape`'s `\xNN`; what is not valid stays as it is.
pub fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let code = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = code {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.extend_from_slice(b"\\x");
            rest = after;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units() {
        let check = |component: &str, expected: Option<&str>| {
            assert_eq!(service_name(component).as_deref(), expected, "{component}");
        };
        check("nginx.service", Some("nginx"));
        check("postgresql@15-main.service", Some("postgresql@15-main"));
        check("trust\\x2danchor.service", Some("trust-anchor"));
        check("getty@tty1.service", Some("getty@tty1"));
        check("mount@mnt\\x2fdata.service", Some("mount@mnt/data"));
        check("machine-qemu\\x2d1\\x2dweb.scope", Some("qemu-1-web"));
        check("session-3.scope", None);
        check("init.scope", None);
        check("user@1000.service", None);
        check("run-u42.service", None);
        check("run-r0f3a9c.service", None);
        check("run-p1234-i1235.service", None);
        check("runner.service", Some("runner"));
        check("app-gnome-firefox-1234.scope", None);
        check(".service", None);
        check("system.slice", None);
    }

    #[test]
    fn broken_escapes() {
        for same in ["\\x", "\\x2", "\\xzz", "a\\xb"] {
            assert_eq!(unescape(same), same);
        }
        assert_eq!(unescape("\\xff"), "\\xff", "not UTF-8");
    }

    proptest! {
        #[test]
        fn any_name(name in ".*") {
            let _ = service_name(&name);
            if !name.contains('\\') {
                prop_assert_eq!(unescape(&name), name);
            }
        }
    }
}
