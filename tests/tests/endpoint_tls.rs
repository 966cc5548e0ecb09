//! TLS, client certificates and passwords, by a real client (curl), and reloading.
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use observer::clock::SystemClock;
use observer::endpoint::{Endpoint, Health, Settings};
use observer::metrics::own::{EndpointRefused, Reload};
use observer::metrics::{self, Registry};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tempfile::TempDir;
use tests::plain_http;
use tests::skip::skipped;
use tests::wait;

/// `alice` with `secret`, at the cheapest cost.
const ALICE: &str =
    "basic_auth_users:\n  alice: $2b$04$....................../dCAsp4PpJoDgv6BeaLP6BKrXlBV1oi\n";

type Authority = CertifiedIssuer<'static, KeyPair>;

struct Node {
    folder: TempDir,
    authority: Authority,
    registry: Arc<Registry>,
    endpoint: Endpoint,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("authority")
}

/// `<name>.crt` and `<name>.key`.
fn issue(folder: &Path, authority: &Authority, name: &str, names: &[SanType]) {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = names.to_vec();
    let key = KeyPair::generate().expect("key");
    let certificate = params.signed_by(&key, authority).expect("certificate");
    fs::write(folder.join(format!("{name}.crt")), certificate.pem()).expect("write");
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("write");
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name"))
}

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

impl Node {
    fn start(web: &str) -> Self {
        Self::try_start(web).expect("start")
    }

    fn try_start(web: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = authority("test authority");
        fs::write(folder.path().join("ca.crt"), authority.pem())?;
        issue(folder.path(), &authority, "server", &[dns("localhost")]);
        issue(
            folder.path(),
            &authority,
            "client",
            &[dns("prometheus.example"), dns("*.wild.example")],
        );
        issue(
            folder.path(),
            &self::authority("another authority"),
            "stranger",
            &[dns("prometheus.example")],
        );
        fs::write(folder.path().join("web.yml"), web)?;
        let (_, registry) = metrics::new(metrics::Settings::default());
        let mut settings = Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        settings.web_config = Some(folder.path().join("web.yml"));
        settings.limits.reload = Duration::ZERO;
        let health = Arc::new(Health::new(Arc::new(SystemClock)));
        let endpoint = Endpoint::start(settings, Arc::clone(&registry), health)?;
        Ok(Self {
            folder,
            authority,
            registry,
            endpoint,
        })
    }

    /// curl's exit code and the status of the answer; `None` where there was no answer.
    fn curl(&self, arguments: &[&str]) -> (Option<i32>, Option<u16>) {
        let output = self.curl_output("https", arguments);
        let status = String::from_utf8_lossy(&output.stdout)
            .parse()
            .ok()
            .filter(|status| *status > 0);
        (output.status.code(), status)
    }

    fn curl_output(&self, scheme: &str, arguments: &[&str]) -> Output {
        let port = self.endpoint.address().port();
        Command::new("curl")
            .args([
                "-sS",
                "-m",
                "20",
                "--noproxy",
                "*",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "--cacert",
                "ca.crt",
            ])
            .args(["--resolve", &format!("localhost:{port}:127.0.0.1")])
            .args(arguments)
            .arg(format!("{scheme}://localhost:{port}/health/live"))
            .current_dir(self.folder.path())
            .output()
            .expect("curl starts")
    }

    fn refused(&self, reason: EndpointRefused) -> u64 {
        self.registry.own().endpoint_refused.of(reason).get()
    }

    fn rewrite(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("write");
    }
}

fn curl_is_missing(test: &str) -> bool {
    let missing = Command::new("curl").arg("--version").output().is_err();
    if missing {
        skipped(test, "curl is not installed (Debian: apt-get install curl)");
    }
    missing
}

const OK: (Option<i32>, Option<u16>) = (Some(0), Some(200));
const UNAUTHORIZED: (Option<i32>, Option<u16>) = (Some(0), Some(401));

#[test]
fn tls_1_2_and_1_3() {
    if curl_is_missing("tls_1_2_and_1_3") {
        return;
    }
    let node = Node::start(TLS);
    assert_eq!(node.curl(&["--tlsv1.3"]), OK);
    assert_eq!(node.curl(&["--tls-max", "1.2"]), OK);
    assert!(
        !node.curl_output("http", &[]).status.success(),
        "no plain HTTP on a TLS port"
    );
    // Counted when the handshake is over on this side too.
    let counted = wait::until(Duration::from_secs(30), || {
        match node.refused(EndpointRefused::Tls) {
            0 => Err("no refusal counted".to_owned()),
            _ => Ok(()),
        }
    });
    counted.unwrap();
}

/// Who reads plain HTTP is told why that does not do.
#[test]
fn top_is_told_of_tls_and_passwords() {
    use observer::top::scrape::{Error, Url, read};

    let asked = |web: &str| {
        let node = Node::start(web);
        let url = format!("http://{}", node.endpoint.address());
        read(&Url::parse(&url).expect("a URL"), |_, _, _| {})
    };
    let found = asked(TLS);
    assert!(matches!(found, Err(Error::Tls)), "{found:?}");
    let users = format!("basic_auth_users:\n  alice: {}\n", bcrypt_like("$2y$04$"));
    let found = asked(&users);
    assert!(matches!(found, Err(Error::Unauthorized(401))), "{found:?}");
}

#[test]
fn versions_and_ciphers_that_are_switched_off() {
    if curl_is_missing("versions_and_ciphers_that_are_switched_off") {
        return;
    }
    let node = Node::start(&format!("{TLS}  min_version: TLS13\n"));
    assert_eq!(node.curl(&[]), OK);
    assert_eq!(node.curl(&["--tls-max", "1.2"]).1, None);
    let cipher = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]";
    let node = Node::start(&format!(
        "{TLS}  max_version: TLS12\n  {cipher}\n  curve_preferences: [CurveP384]\n"
    ));
    assert_eq!(node.curl(&["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"]), OK);
    assert_eq!(node.curl(&["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"]).1, None);
    assert_eq!(node.curl(&["--curves", "P-256"]).1, None);
    assert_eq!(node.curl(&["--tlsv1.3"]).1, None);
}

const CLIENT: [&str; 4] = ["--cert", "client.crt", "--key", "client.key"];
const STRANGER: [&str; 4] = ["--cert", "stranger.crt", "--key", "stranger.key"];

#[test]
fn client_certificates() {
    if curl_is_missing("client_certificates") {
        return;
    }
    for (policy, nobody, client, stranger) in [
        ("NoClientCert", true, true, true),
        ("RequestClientCert", true, true, true),
        ("RequireAnyClientCert", false, true, true),
        (
            "VerifyClientCertIfGiven\n  client_ca_file: ca.crt",
            true,
            true,
            false,
        ),
        (
            "RequireAndVerifyClientCert\n  client_ca_file: ca.crt",
            false,
            true,
            false,
        ),
    ] {
        let node = Node::start(&format!("{TLS}  client_auth_type: {policy}\n"));
        let answers = [&[][..], &CLIENT, &STRANGER].map(|arguments| node.curl(arguments).1 == Some(200));
        assert_eq!(answers, [nobody, client, stranger], "{policy}");
    }
}

#[test]
fn client_names() {
    if curl_is_missing("client_names") {
        return;
    }
    for (allowed, welcome) in [
        ("prometheus.example", true),
        ("other.example, prometheus.example", true),
        ("other.example", false),
        ("a.wild.example", false),
        ("'*.wild.example'", true),
        ("10.0.0.1", false),
    ] {
        let policy = "client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt";
        let node = Node::start(&format!("{TLS}  {policy}\n  client_allowed_sans: [{allowed}]\n"));
        assert_eq!(node.curl(&CLIENT).1 == Some(200), welcome, "{allowed}");
    }
}

#[test]
fn passwords_over_tls() {
    if curl_is_missing("passwords_over_tls") {
        return;
    }
    let node = Node::start(&format!("{TLS}{ALICE}"));
    assert_eq!(node.curl(&["-u", "alice:secret"]), OK);
    for arguments in [&["-u", "alice:wrong"][..], &["-u", "bob:secret"], &[]] {
        assert_eq!(node.curl(arguments), UNAUTHORIZED, "{arguments:?}");
    }
    assert_eq!(node.refused(EndpointRefused::Unauthorized), 3);
}

#[test]
fn passwords_headers_and_rates_without_tls() {
    let headers = "http_server_config: {headers: {X-Frame-Options: deny}}\n";
    let node = Node::start(&format!(
        "{ALICE}{headers}rate_limit: {{interval: 1h, burst: 4}}\n"
    ));
    let get =
        |path, headers: &[&str]| plain_http::get(node.endpoint.address(), path, headers).expect("an answer");
    // alice:secret, alice:wrong
    let (right, wrong) = (
        "authorization: Basic YWxpY2U6c2VjcmV0",
        "authorization: Basic YWxpY2U6d3Jvbmc=",
    );
    let answer = get("/metrics", &[]);
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (401, "wrong or no user name and password\n")
    );
    assert_eq!(
        answer.header("www-authenticate"),
        Some("Basic realm=\"marty-observer\"")
    );
    assert_eq!(answer.header("x-frame-options"), Some("deny"));
    // What there is is not told to strangers.
    assert_eq!(get("/nowhere", &[wrong]).status, 401);
    assert_eq!(get("/nowhere", &[right]).status, 404);
    assert_eq!(get("/metrics", &[right]).status, 200);
    let answer = get("/metrics", &[right]);
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (429, "too many requests\n")
    );
    assert_eq!(node.refused(EndpointRefused::RateLimited), 1);
}

#[test]
fn a_flood_of_passwords() {
    // At a cost at which each takes a while.
    let dear = bcrypt_like("$2b$09$");
    let node = Node::start(&format!("basic_auth_users:\n  alice: {dear}\n"));
    let address = node.endpoint.address();
    let ask = move |index: usize| {
        let credentials = ["YWxpY2U6MQ==", "YWxpY2U6Mg==", "Ym9iOjE="][index % 3];
        let header = format!("authorization: Basic {credentials}");
        plain_http::get(address, "/health/live", &[&header]).map(|answer| answer.status)
    };
    let flood: Vec<_> = (0..40)
        .map(|index| std::thread::spawn(move || ask(index)))
        .collect();
    let statuses: Vec<_> = flood
        .into_iter()
        .map(|one| one.join().expect("a client").expect("an answer"))
        .collect();
    assert!(
        statuses.iter().all(|status| [401, 503].contains(status)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&503), "not all of them waited: {statuses:?}");
    assert!(node.refused(EndpointRefused::Busy) > 0);
}

/// A valid hash (of nothing in particular).
fn bcrypt_like(prefix: &str) -> String {
    format!("{prefix}....................../dCAsp4PpJoDgv6BeaLP6BKrXlBV1oi")
}

#[test]
fn reloaded_when_it_changes() {
    if curl_is_missing("reloaded_when_it_changes") {
        return;
    }
    let node = Node::start(TLS);
    assert_eq!(node.curl(&[]), OK);
    node.rewrite("web.yml", &format!("{TLS}{ALICE}"));
    assert_eq!(node.curl(&[]), UNAUTHORIZED);
    assert_eq!(node.curl(&["-u", "alice:secret"]), OK);
    // For the worse: the old one stays.
    node.rewrite("web.yml", "tls_server_confg: {}\n");
    assert_eq!(node.curl(&[]), UNAUTHORIZED);
    let reloads = &node.registry.own().reloads;
    assert_eq!(
        (reloads.of(Reload::Ok).get(), reloads.of(Reload::Failed).get()),
        (1, 1)
    );
    // A key that does not fit, and then the certificate that it fits to.
    node.rewrite("web.yml", TLS);
    assert_eq!(node.curl(&[]), OK);
    let elsewhere = tempfile::tempdir().expect("a folder");
    issue(
        elsewhere.path(),
        &node.authority,
        "server",
        &[dns("localhost"), dns("renewed.example")],
    );
    for name in ["server.key", "server.crt"] {
        fs::copy(elsewhere.path().join(name), node.folder.path().join(name)).expect("copy");
        assert_eq!(node.curl(&[]), OK, "after a new {name}");
    }
    assert_eq!(
        (reloads.of(Reload::Ok).get(), reloads.of(Reload::Failed).get()),
        (3, 2)
    );
}

#[test]
fn connections_made_under_old_rules_end() {
    let node = Node::start(ALICE);
    let mut stream = plain_http::connect(node.endpoint.address()).expect("connect");
    let header = "authorization: Basic YWxpY2U6c2VjcmV0";
    let answer = plain_http::ask(&mut stream, "GET", "/health/live", &[header]).expect("an answer");
    assert_eq!(answer.status, 200);
    node.rewrite("web.yml", TLS);
    plain_http::ask(&mut stream, "GET", "/health/live", &[header]).expect_err("no answer in the clear");
}

#[test]
fn refused_at_the_start() {
    let refused = |web: &str| match Node::try_start(web) {
        Ok(_) => panic!("must be refused: {web}"),
        Err(error) => format!("{error:#}"),
    };
    for (web, expected) in [
        ("nonsense: 1\n", "web.yml:1: nonsense: unknown"),
        (
            "tls_server_config: {cert_file: absent, key_file: server.key}",
            "web.yml:1: tls_server_config: cannot open ",
        ),
        (
            "\ntls_server_config: {cert_file: web.yml, key_file: server.key}",
            "web.yml:2: tls_server_config: ",
        ),
        (
            "tls_server_config: {cert_file: web.yml, key_file: server.key}",
            "web.yml: no certificate in it",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: server.crt}",
            "server.crt: no private key in it",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: client.key}",
            "client.key do not go together",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: server.key, \
             client_auth_type: RequireAndVerifyClientCert}",
            "server.key: no certificate in it",
        ),
        (
            "tls_server_config: {cert_file: /dev/zero, key_file: server.key}",
            "/dev/zero is larger than 1048576 bytes",
        ),
        (
            "tls_server_config: {cert: x, key: y}",
            "the inline PEM: no certificate in it",
        ),
    ] {
        let message = refused(web);
        assert!(message.contains(expected), "{web}: {message}");
    }
}
