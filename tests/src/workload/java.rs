//! grpc-java on Netty: jars from Debian, unpacked, and the program compiled against them. Its TLS is Netty's `tcnative`, as gRPC
//! recommends it: a library that calls the system's OpenSSL in Debian, and has a `BoringSSL` inside where it is shipped.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::cache;
use crate::prerequisite::{Error, apt, build};

const SUITE: &str = "bookworm";
const PACKAGES: [&str; 9] = [
    "libgrpc-java",
    "libnetty-java",
    "libperfmark-java",
    "libgoogle-gson-java",
    "libguava-java",
    "libjctools-java",
    "libnetty-tcnative-java",
    "libnetty-tcnative-jni",
    "libapr1",
];
/// `netty-all.jar` is empty.
const JARS: [&str; 21] = [
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
    "netty-tcnative",
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
    let key = format!("{SUITE} {} renamed", PACKAGES.join(" "));
    let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let packages = cache::folder("java-packages", &key, |folder| {
        apt::unpack(SUITE, &PACKAGES, folder)?;
        // Netty asks for the name that it has where it is shipped.
        let native = folder.join(&libraries).join("jni");
        std::fs::rename(
            native.join("libnetty-tcnative.so"),
            native.join("libnetty_tcnative.so"),
        )?;
        Ok(())
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
    let libraries = packages.join(libraries);
    let mut found = OsString::from("LD_LIBRARY_PATH=");
    found.push(&libraries);
    let mut native = OsString::from("-Djava.library.path=");
    native.push(libraries.join("jni"));
    // The virtual machine's own use of SIGUSR2 cannot stand a storm of them: it takes another signal.
    let mut command: Vec<OsString> = vec!["env".into(), "_JAVA_SR_SIGNUM=40".into(), found];
    command.extend(["java".into(), native]);
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
