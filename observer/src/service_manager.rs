//! What systemd is told (`sd_notify(3)`): ready, stopping, still alive. Without systemd, nothing.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// `variable` is usually [`std::env::var_os`]. A socket that cannot be reached is an error worth a warning, not a
    /// reason to stop.
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let socket = UnixDatagram::unbound()?;
        let address = address(&name)?;
        let microseconds = variable("WATCHDOG_USEC").and_then(|text| text.to_str()?.parse().ok());
        let process = variable("WATCHDOG_PID").and_then(|text| text.to_str()?.parse().ok());
        let meant = process.is_none_or(|process: u32| process == std::process::id());
        let watchdog = microseconds
            .filter(|microseconds| meant && *microseconds > 0)
            .map(Duration::from_micros);
        Ok(Self {
            socket: Some((socket, address)),
            watchdog,
        })
    }

    /// How often [`ServiceManager::alive`] must be said: half of what systemd waits for.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 2)
    }

    pub fn ready(&self) -> io::Result<()> {
        self.tell("READY=1")
    }

    pub fn stopping(&self) -> io::Result<()> {
        self.tell("STOPPING=1")
    }

    pub fn alive(&self) -> io::Result<()> {
        self.tell("WATCHDOG=1")
    }

    /// Says [`ServiceManager::alive`] as long as the answer is yes, until the process ends. A thread, so that a pipeline
    /// that is stuck can neither say it nor keep it from being left unsaid. Nothing if systemd does not wait for it.
    pub fn keep_alive(self: &Arc<Self>, is_live: impl Fn() -> bool + Send + 'static) -> io::Result<()> {
        let Some(interval) = self.watchdog_interval() else {
            return Ok(());
        };
        let manager = Arc::clone(self);
        let beat = move || {
            loop {
                // A message that is lost is followed by the next; silence is what systemd acts on.
                if is_live() && manager.alive().is_err() {
                    tracing::debug!("the service manager did not take the sign of life");
                }
                std::thread::sleep(interval);
            }
        };
        std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(beat)
            .map(drop)
    }

    fn tell(&self, state: &str) -> io::Result<()> {
        match &self.socket {
            Some((socket, address)) => socket.send_to_addr(state.as_bytes(), address).map(drop),
            None => Ok(()),
        }
    }
}

/// A path, or, after an `@`, a name in the abstract namespace.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(variables: &[(&str, &str)]) -> io::Result<ServiceManager> {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.into())
        };
        ServiceManager::from_environment(find)
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    fn tells(socket: &UnixDatagram, name: &str) {
        let manager = manager(&[("NOTIFY_SOCKET", name)]).expect("a socket");
        manager.ready().expect("sent");
        manager.alive().expect("sent");
        manager.stopping().expect("sent");
        assert_eq!(
            [(); 3].map(|()| received(socket)),
            ["READY=1", "WATCHDOG=1", "STOPPING=1"]
        );
    }

    #[test]
    fn by_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        tells(
            &UnixDatagram::bind(&path).expect("bound"),
            path.to_str().expect("text"),
        );
    }

    #[test]
    fn by_abstract_name() {
        let name = format!("marty-observer-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        tells(
            &UnixDatagram::bind_addr(&address).expect("bound"),
            &format!("@{name}"),
        );
    }

    #[test]
    fn without_systemd() {
        for variables in [&[][..], &[("NOTIFY_SOCKET", "")]] {
            manager(variables).expect("nothing").ready().expect("nothing");
        }
    }

    #[test]
    fn nobody_listens() {
        let manager = manager(&[("NOTIFY_SOCKET", "/nonexistent/notify")]).expect("a name");
        manager.ready().expect_err("nobody is there");
        let long = "/x".repeat(100);
        ServiceManager::from_environment(|_| Some(long.clone().into())).expect_err("too long for an address");
    }

    #[test]
    fn says_that_it_is_alive() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        let variables = [
            ("NOTIFY_SOCKET", path.to_str().expect("text")),
            ("WATCHDOG_USEC", "2000"),
        ];
        let manager = Arc::new(manager(&variables).expect("a socket"));
        manager.keep_alive(|| true).expect("a thread");
        assert_eq!(
            [received(&socket), received(&socket)],
            ["WATCHDOG=1", "WATCHDOG=1"]
        );
    }

    #[test]
    fn watchdog() {
        let own = std::process::id().to_string();
        let interval = |pid: &str, microseconds: &str| {
            let variables = [
                ("NOTIFY_SOCKET", "@x"),
                ("WATCHDOG_USEC", microseconds),
                ("WATCHDOG_PID", pid),
            ];
            manager(&variables).expect("a name").watchdog_interval()
        };
        assert_eq!(interval(&own, "30000000"), Some(Duration::from_secs(15)));
        assert_eq!(interval("1", "30000000"), None);
        assert_eq!(interval(&own, "soon"), None);
        assert_eq!(interval(&own, "0"), None);
    }
}
