//! Two network namespaces joined by a veth pair, gone with the guard, and a road between them that can be made bad:
//! packets lost, packets overtaken.
//!
//! nftables does both. Kernels without netem, as in some virtual machines, have it. Late packets take a detour through a slow
//! second veth pair inside the receiving namespace, which gives them back to the same address.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::capture::place::spawn;
use crate::prerequisite::{self, Error, apt, get};
use crate::process::Place;
use crate::wait;

/// Addresses of the two ends. Only these namespaces know them, so every pair can have the same.
pub const CLIENT: [&str; 2] = ["10.99.0.1", "fd99::1"];
pub const SERVER: [&str; 2] = ["10.99.0.2", "fd99::2"];

/// For the two ends of a link to see each other.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// Shorter than the second after which a kernel asks again for an address or an answer.
const KNOCK: Duration = Duration::from_millis(200);
/// Nobody listens in a namespace that is new; 9 discards, where there is somebody.
const UNUSED_PORT: u16 = 9;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// How bad the road is, each way, in packets of a thousand as they arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    pub lost_permille: u32,
    pub late_permille: u32,
}

/// What the road did, both ways together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disturbed {
    pub lost: u64,
    pub late: u64,
}

#[derive(Debug)]
pub struct Pair {
    client: String,
    server: String,
}

impl Pair {
    pub fn new() -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::Missing("network namespaces need root".into()));
        }
        apt::install_for(&[("ip", "iproute2")])?;
        remove_orphans();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("observer-{}-{number}-{end}", std::process::id());
        let pair = Self {
            client: name("client"),
            server: name("server"),
        };
        get(&mut ip(&["netns", "add", &pair.client]))?;
        get(&mut ip(&["netns", "add", &pair.server]))?;
        let link = [
            "link",
            "add",
            "veth0",
            "type",
            "veth",
            "peer",
            "name",
            "veth0",
            "netns",
            &pair.server,
        ];
        Self::at(&pair.client, &link)?;
        for (namespace, [four, six]) in [(&pair.client, CLIENT), (&pair.server, SERVER)] {
            Self::at(
                namespace,
                &["address", "add", &format!("{four}/24"), "dev", "veth0"],
            )?;
            Self::at(
                namespace,
                &["address", "add", &format!("{six}/64"), "dev", "veth0", "nodad"],
            )?;
            Self::at(namespace, &["link", "set", "lo", "up"])?;
            Self::at(namespace, &["link", "set", "veth0", "up"])?;
        }
        pair.wait_until_joined()?;
        Ok(pair)
    }

    /// The kernel hears of a link's other end up to a second late, and refuses until then what comes for the IPv6
    /// address there: no route. So somebody knocks until nobody is at home, which the server's kernel says.
    fn wait_until_joined(&self) -> Result<(), Error> {
        let knocking = spawn(&self.client(), || {
            SERVER.into_iter().try_for_each(|address| {
                let at = SocketAddr::new(address.parse()?, UNUSED_PORT);
                wait::until(MAX_WAIT, || match TcpStream::connect_timeout(&at, KNOCK) {
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
                    other => Err(format!("{at}: {other:?}")),
                })
            })
        });
        let joined = knocking.join();
        let joined = joined.unwrap_or_else(|_| Err(anyhow!("the thread that knocks has panicked")));
        joined.map_err(|error| Error::Broken(error.to_string()))
    }

    /// Where a client runs.
    pub fn client(&self) -> Place {
        Place {
            namespace: Some(self.client.clone()),
            ..Place::default()
        }
    }

    /// Where a server runs, listening on one of [`SERVER`].
    pub fn server(&self) -> Place {
        Place {
            namespace: Some(self.server.clone()),
            ..Place::default()
        }
    }

    /// Makes the road as bad as this, from now on. Can be called again; no faults make it good again.
    pub fn disturb(&self, faults: Faults) -> Result<(), Error> {
        apt::install_for(&[("nft", "nftables"), ("tc", "iproute2")])?;
        for namespace in [&self.client, &self.server] {
            Self::add_detour(namespace)?;
            let rules = format!(
                "add table netdev road\ndelete table netdev road\ntable netdev road {{\n\
                 chain ingress {{ type filter hook ingress device veth0 priority 0;\n\
                 numgen random mod 1000 < {} counter drop\n\
                 numgen random mod 1000 < {} counter fwd to slow0\n}}\n}}\n",
                faults.lost_permille, faults.late_permille
            );
            Self::run(namespace, &["nft", &rules])?;
        }
        Ok(())
    }

    /// The second veth pair, at most once. Its far end has the address of the first, so that what arrives there is taken.
    fn add_detour(namespace: &str) -> Result<(), Error> {
        let address = Self::run(namespace, &["cat", "/sys/class/net/veth0/address"])?;
        if Self::run(namespace, &["cat", "/sys/class/net/slow0/address"]).is_ok() {
            return Ok(());
        }
        Self::at(
            namespace,
            &["link", "add", "slow0", "type", "veth", "peer", "name", "slow1"],
        )?;
        Self::at(namespace, &["link", "set", "slow1", "address", address.trim()])?;
        for end in ["slow0", "slow1"] {
            Self::at(namespace, &["link", "set", end, "up"])?;
        }
        // Slow enough for a few segments to pass what waits here, fast enough to stay below any retransmission timer.
        let slow = [
            "qdisc", "add", "dev", "slow0", "root", "tbf", "rate", "200mbit", "burst", "70k", "limit", "10m",
        ];
        Self::run(namespace, &[&["tc"], slow.as_slice()].concat())?;
        for interface in ["all", "slow1"] {
            let filter = format!("echo 0 > /proc/sys/net/ipv4/conf/{interface}/rp_filter");
            Self::run(namespace, &["sh", "-c", &filter])?;
        }
        Ok(())
    }

    /// How many packets were lost and late since the last [`Self::disturb`].
    pub fn disturbed(&self) -> Result<Disturbed> {
        let mut sum = Disturbed::default();
        for namespace in [&self.client, &self.server] {
            let rules = Self::run(namespace, &["nft", "list table netdev road"])?;
            sum.lost += packets(&rules, "drop").context("no rule that drops")?;
            sum.late += packets(&rules, "fwd").context("no rule that forwards")?;
        }
        Ok(sum)
    }

    fn at(namespace: &str, arguments: &[&str]) -> Result<String, Error> {
        get(ip(&["-n", namespace]).args(arguments))
    }

    fn run(namespace: &str, command: &[&str]) -> Result<String, Error> {
        get(ip(&["netns", "exec", namespace]).args(command))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for namespace in [&self.client, &self.server] {
            remove(namespace);
        }
    }
}

fn ip(arguments: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(arguments);
    command
}

fn remove(namespace: &str) {
    if let Err(error) = get(&mut ip(&["netns", "delete", namespace])) {
        prerequisite::say(&error.to_string());
    }
}

/// Namespaces of tests that were killed before they could remove them.
fn remove_orphans() {
    let Ok(names) = get(&mut ip(&["netns", "list"])) else {
        return;
    };
    for name in names.lines().filter_map(|line| line.split(' ').next()) {
        let owner = name
            .strip_prefix("observer-")
            .and_then(|rest| rest.split('-').next());
        let owner = owner.and_then(|owner| owner.parse::<u32>().ok());
        if owner.is_some_and(|owner| !std::path::Path::new(&format!("/proc/{owner}")).exists()) {
            remove(name);
        }
    }
}

/// The count of a rule in nftables' own words: `… counter packets 74 bytes 479492 drop`.
fn packets(rules: &str, verdict: &str) -> Option<u64> {
    let rule = rules
        .lines()
        .find(|line| line.contains("counter packets") && line.contains(verdict))?;
    let mut words = rule.split_whitespace().skip_while(|word| *word != "packets");
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::prerequisite::or_skip;

    /// One after the other, as fast as they can be made.
    #[test]
    fn a_new_pair_takes_connections() {
        for _ in 0..5 {
            let Some(pair) = or_skip("a_new_pair_takes_connections", Pair::new()) else {
                return;
            };
            for address in SERVER {
                let listener = spawn(&pair.server(), move || TcpListener::bind((address, 0)).unwrap());
                let listener = listener.join().unwrap();
                let at = listener.local_addr().unwrap();
                let client = spawn(&pair.client(), move || TcpStream::connect(at).map(drop));
                client.join().unwrap().unwrap();
            }
        }
    }

    #[test]
    fn counts_are_read_from_rules() {
        let rules = "chain ingress {\n numgen random mod 1000 < 10 counter packets 74 bytes 479492 drop\n\
            numgen random mod 1000 < 50 counter packets 280 bytes 1543288 fwd to \"slow0\"\n}";
        assert_eq!(
            (packets(rules, "drop"), packets(rules, "fwd")),
            (Some(74), Some(280))
        );
        assert_eq!(packets("chain ingress {\n}", "drop"), None);
    }
}
