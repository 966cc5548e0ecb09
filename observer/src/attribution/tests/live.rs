//! Real programs on this machine: forked, executed, threaded, older than the observer. In Python, since it forks
//! and executes without ado.

use std::net::SocketAddr;
use std::process::Command;

use super::program::Program;
use super::*;
use crate::skip::skipped;

/// As the kernel tells of a socket it did not see being made.
fn older(local: u16, remote: u16, role: Role) -> Socket {
    let mut socket = socket(0, 0, "", role);
    socket.local = socket::Address::new([127, 0, 0, 1], 0).ip;
    socket.remote = socket.local;
    (socket.local_port, socket.remote_port) = (local, remote);
    socket
}

const NAME: &str = "
import ctypes, os, socket, sys, threading
def name(text): ctypes.CDLL(None).prctl(15, text.encode(), 0, 0, 0)
def say(*what): print(*what, flush=True)
";

#[test]
fn older_connections_of_a_forking_server() {
    let code = format!(
        "{NAME}
name('fork-master')
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
if os.fork() == 0:
    name('fork-worker')
    c, a = s.accept()
    out = socket.create_connection(('127.0.0.1', s.getsockname()[1]))
    say(s.getsockname()[1], a[1], out.getsockname()[1])
    c.recv(1)
    os._exit(0)
c = socket.create_connection(s.getsockname())
sys.stdin.read()"
    );
    let Some(mut program) = Program::python("older_connections_of_a_forking_server", &code, &[]) else {
        return;
    };
    let numbers = program.numbers();
    let [server, client, worker] = numbers[..] else {
        panic!("{numbers:?}")
    };
    let machine = Machine::real();
    machine.check(
        &older(server, client, Role::Passive),
        "fork-master",
        Source::Process,
    );
    machine.check(
        &older(client, server, Role::Active),
        "fork-master",
        Source::Process,
    );
    machine.check(
        &older(worker, server, Role::Active),
        "fork-master",
        Source::Process,
    );
    let called = machine.ask(&older(client, server, Role::Active));
    assert_eq!(&*called.peer, "fork-master");
}

#[test]
fn threads_with_other_names_and_a_program_that_executes() {
    let code = format!(
        "{NAME}
name('before')
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
os.set_inheritable(s.fileno(), True)
say(s.getsockname()[1], os.getpid() % 60000)
sys.stdin.readline()
os.execvp('sleep', ['after', '100'])"
    );
    let Some(mut program) =
        Program::python("threads_with_other_names_and_a_program_that_executes", &code, &[])
    else {
        return;
    };
    let pid = program.child.id();
    let port = program.numbers()[0];
    let mut kernels = older(port, 40000, Role::Passive);
    kernels.process = pid;
    kernels.command[..8].copy_from_slice(b"thread-9");
    let machine = Machine::real();
    machine.check(&kernels, "before", Source::Process);
    program.say("go\n");
    let processes = process::Processes::new("/proc");
    let start = Instant::now();
    while processes.stat(pid).is_some_and(|stat| &*stat.name == "before") {
        assert!(start.elapsed() < Duration::from_secs(30));
        thread::yield_now();
    }
    machine.check(&kernels, "sleep", Source::Process);
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    machine.check(&kernels, "thread-9", Source::Command);
}

#[test]
fn own_calls_of_a_service_known_by_its_port() {
    let code = format!(
        "{NAME}
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
o = socket.socket(); o.bind(('127.0.0.1', 0)); o.listen()
c = socket.create_connection(o.getsockname())
say(s.getsockname()[1], c.getsockname()[1], o.getsockname()[1])
sys.stdin.read()"
    );
    let Some(mut program) = Program::python("own_calls_of_a_service_known_by_its_port", &code, &[]) else {
        return;
    };
    let numbers = program.numbers();
    let [served, client, other] = numbers[..] else {
        panic!("{numbers:?}")
    };
    let mut machine = Machine::real();
    machine.settings.rules = vec![rule("csca-service", served)];
    machine.check(
        &older(client, other, Role::Active),
        "csca-service",
        Source::Configuration,
    );
}

#[test]
fn a_socket_in_another_network_namespace() {
    let code = format!(
        "{NAME}
if ctypes.CDLL(None).unshare(0x40000000) != 0: say('denied'); sys.exit()
import subprocess
try: subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
except Exception: say('denied'); sys.exit()
name('elsewhere')
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
c = socket.create_connection(s.getsockname())
say(s.getsockname()[1], c.getsockname()[1])
sys.stdin.read()"
    );
    let Some(mut program) = Program::python("a_socket_in_another_network_namespace", &code, &[]) else {
        return;
    };
    let line = program.line();
    let Some((server, client)) = line.split_once(' ') else {
        skipped(
            "a_socket_in_another_network_namespace",
            &format!("no network namespace may be made here: {line}"),
        );
        return;
    };
    let (server, client) = (server.parse().unwrap(), client.parse().unwrap());
    let machine = Machine::real();
    machine.check(&older(client, server, Role::Active), "elsewhere", Source::Process);
    machine.check(
        &older(server, client, Role::Passive),
        "elsewhere",
        Source::Process,
    );
}

/// As Go programs listen since 1.24; their clients speak plain TCP.
#[test]
fn a_listener_of_multipath_tcp() {
    let code = format!(
        "{NAME}
try: s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
except OSError: say('denied'); sys.exit()
name('multipath')
s.bind(('127.0.0.1', 0)); s.listen()
c = socket.create_connection(s.getsockname())
a = s.accept()
say(s.getsockname()[1], c.getsockname()[1])
sys.stdin.read()"
    );
    let Some(mut program) = Program::python("a_listener_of_multipath_tcp", &code, &[]) else {
        return;
    };
    let line = program.line();
    let Some((server, client)) = line.split_once(' ') else {
        skipped("a_listener_of_multipath_tcp", "no multipath TCP here");
        return;
    };
    let (server, client) = (server.parse().unwrap(), client.parse().unwrap());
    let machine = Machine::real();
    machine.check(
        &older(server, client, Role::Passive),
        "multipath",
        Source::Process,
    );
    assert_eq!(
        &*machine.ask(&older(client, server, Role::Active)).peer,
        "multipath"
    );
}

#[test]
fn a_true_cgroup_of_version_2() {
    let tree = cgroup::tree::Tree::new(Path::new("/sys/fs/cgroup"));
    let Some(root) = tree.root().map(Path::to_owned) else {
        skipped("a_true_cgroup_of_version_2", "no cgroup v2 here");
        return;
    };
    let folder = root.join(format!("attribution-{}.service", std::process::id()));
    if fs::create_dir(&folder).is_err() {
        skipped("a_true_cgroup_of_version_2", "no cgroup may be made here");
        return;
    }
    let id = fs::metadata(&folder).unwrap().ino();
    let mut machine = Machine::new();
    machine.settings.cgroups = "/sys/fs/cgroup".into();
    let identity = machine.ask(&socket(id, 0, "", Role::Passive)).identity;
    fs::remove_dir(&folder).unwrap();
    assert_eq!(&*identity.service, format!("attribution-{}", std::process::id()));
}

/// 200 processes that exist for a moment each: every one is named.
#[test]
fn short_lived_clients() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let machine = Machine::real();
    assert!(is_root_of_procfs(&machine.settings.proc));
    let mut attribution = machine.start();
    let mut open = 0_u64;
    let mut names = std::collections::BTreeMap::<Box<str>, u64>::new();
    let mut count = |attribution: &mut Attribution, open: &mut u64| {
        for (_, attributed) in attribution.answers(Instant::now()) {
            *names.entry(attributed.identity.service.clone()).or_default() += 1;
            *open -= 1;
        }
    };
    for number in 0..200_u64 {
        let child = Command::new("true").spawn();
        let Ok(mut child) = child else {
            skipped("short_lived_clients", "no command `true` here");
            return;
        };
        let mut socket = older(40000, address.port(), Role::Active);
        socket.process = child.id();
        socket.command[..4].copy_from_slice(b"true");
        if number % 2 == 0 {
            child.wait().unwrap();
        }
        // Its own connection, so that the peer is asked for as well.
        assert_eq!(
            attribution.resolve(number, &socket, Instant::now()),
            Resolution::Pending
        );
        open += 1;
        count(&mut attribution, &mut open);
        child.wait().unwrap();
    }
    let start = Instant::now();
    while open > 0 {
        assert!(
            start.elapsed() < Duration::from_mins(1),
            "{open} without an answer"
        );
        count(&mut attribution, &mut open);
        thread::yield_now();
    }
    assert_eq!(names.values().sum::<u64>(), 200);
    assert!(!names.contains_key("_unknown"), "{names:?}");
}

fn is_root_of_procfs(path: &Path) -> bool {
    path.join("self/status").exists()
}
