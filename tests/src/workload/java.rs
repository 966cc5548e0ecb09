//! grpc-java on Netty: jars from Debian, unpacked, and the program compiled against them.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::cache;
use crate::prerequisite::{Error, apt, build};

const SUITE: &str = "bookworm";
const PACKAGES: [&str; 6] = [
    "libgrpc-java",
    "libnetty-java",
    "libperfmark-java",
    "libgoogle-gson-java",
    "libguava-java",
    "libjctools-java",
];
/// `netty-all.jar` is empty.
const JARS: [&str; 20] = [
    "grpc-api",
    "grpc-context",
    "grpc-core",
    "grpc-netty",
    "grpc-stub",
    "netty-buffer",
    "netty-codec",
    "netty-codec-http",
    "netty-codec-http2",
    "netty-codec-socks",
    "netty-common",
    "netty-handler",
    "netty-handler-proxy",
    "netty-resolver",
    "netty-transport",
    "netty-transport-native-unix-common",
    "perfmark-api",
    "gson",
    "guava",
    "jctools-core",
];
const PROGRAM: [&str; 6] = [
    "Peer.java",
    "Wire.java",
    "Tally.java",
    "Step.java",
    "Service.java",
    "Client.java",
];

pub fn prepare() -> Result<Vec<OsString>, Error> {
    apt::install_for(&[("javac", "default-jdk-headless")])?;
    let sources = cache::sources().join("java");
    let key = format!("{SUITE} {}", PACKAGES.join(" "));
    let packages = cache::folder("java-packages", &key, |folder| {
        apt::unpack(SUITE, &PACKAGES, folder)
    })?;
    let jars = class_path(&packages);
    let key = cache::contents(&sources, &PROGRAM)?;
    let built = cache::folder("java", &key, |folder| {
        let mut command = Command::new("javac");
        command.current_dir(&sources).arg("-d").arg(folder);
        command.arg("-cp").arg(&jars).args(PROGRAM);
        build(&mut command).map(drop)
    })?;
    let mut path = built.into_os_string();
    path.push(":");
    path.push(jars);
    // Small, so that it begins soon and leaves memory to others.
    let options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1g", "-cp"];
    // The virtual machine's own use of SIGUSR2 cannot stand a storm of them: it takes another signal.
    let mut command: Vec<OsString> = vec!["env".into(), "_JAVA_SR_SIGNUM=40".into(), "java".into()];
    command.extend(options.map(OsString::from));
    command.extend([path, "Peer".into()]);
    Ok(command)
}

fn class_path(packages: &Path) -> OsString {
    let jars = JARS.map(|jar| {
        packages
            .join(format!("usr/share/java/{jar}.jar"))
            .into_os_string()
    });
    jars.join(std::ffi::OsStr::new(":"))
}
