//! Web configuration files: what they mean, and what is refused.

use proptest::prelude::*;

use super::*;

const HASH: &str = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze";

fn read(text: &str) -> Result<WebConfig, String> {
    parse(Path::new("etc/web.yml"), text).map_err(|mistakes| mistakes.to_string())
}

fn mistakes(text: &str, expected: &[&str]) {
    let found = read(text).expect_err("must be refused");
    let lines: Vec<_> = found
        .lines()
        .skip(1)
        .map(|line| line.trim().replacen("etc/web.yml:", "", 1))
        .collect();
    assert_eq!(lines, expected, "of\n{text}");
}

/// Of `tls_server_config`, with a certificate and a key.
fn tls(lines: &[&str]) -> String {
    let mut text = String::from("tls_server_config:\n  cert_file: c.pem\n  key_file: /k.pem\n");
    for line in lines {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[test]
fn empty() {
    for text in [
        "",
        "# nothing",
        "tls_server_config:\nbasic_auth_users:\nhttp_server_config:\nrate_limit:\n",
    ] {
        assert_eq!(read(text), Ok(WebConfig::default()), "{text}");
    }
}

#[test]
fn everything() {
    let text = tls(&[
        "client_ca: PEM",
        "client_auth_type: RequireAndVerifyClientCert",
        "client_allowed_sans: [prometheus.example, 10.0.0.1, spiffe://x/y]",
        "min_version: TLS13",
        "max_version: TLS13",
        "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]",
        "prefer_server_cipher_suites: false",
        "curve_preferences: [CurveP256, X25519]",
    ]) + "http_server_config:\n  http2: true\n  headers:\n    X-Frame-Options: DENY\n    X-Content-Type-Options: nosniff\n    \
          Content-Security-Policy: \"\"\n    Strict-Transport-Security: max-age=1\nrate_limit: {interval: 1s, burst: 20}\n\
          basic_auth_users:\n  alice: "
        + HASH;
    let config = read(&text).expect("fine");
    let expected = Tls {
        certificate: Source::File("etc/c.pem".into()),
        key: Source::File("/k.pem".into()),
        client_ca: Some(Source::Inline("PEM".into())),
        client_auth: ClientAuth::RequireAndVerify,
        client_allowed_sans: ["prometheus.example", "10.0.0.1", "spiffe://x/y"]
            .map(str::to_owned)
            .to_vec(),
        versions: Versions::Tls13,
        cipher_suites: ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"]
            .map(str::to_owned)
            .to_vec(),
        prefer_server_cipher_suites: false,
        curves: ["CurveP256", "X25519"].map(str::to_owned).to_vec(),
        line: 1,
    };
    assert_eq!(config.tls, Some(expected));
    let headers: Vec<_> = config
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let expected: [(&str, &[u8]); 3] = [
        ("x-frame-options", b"DENY"),
        ("x-content-type-options", b"nosniff"),
        ("strict-transport-security", b"max-age=1"),
    ];
    assert_eq!(headers, expected);
    assert_eq!(
        config.rate_limit,
        Some(RateLimit {
            interval: Duration::from_secs(1),
            burst: 20
        })
    );
    assert_eq!(config.users.len(), 1);
    assert_eq!(read("rate_limit: {interval: 0}").expect("fine").rate_limit, None);
}

#[test]
fn client_authentication() {
    let ca = "client_ca_file: ca.pem";
    for (line, more, expected) in [
        ("client_auth_type: NoClientCert", "", ClientAuth::None),
        ("client_auth_type: RequestClientCert", "", ClientAuth::Request),
        (
            "client_auth_type: RequireAnyClientCert",
            "",
            ClientAuth::RequireAny,
        ),
        ("client_auth_type: RequireClientCert", "", ClientAuth::RequireAny),
        (
            "client_auth_type: VerifyClientCertIfGiven",
            ca,
            ClientAuth::VerifyIfGiven,
        ),
        (
            "client_auth_type: RequireAndVerifyClientCert",
            ca,
            ClientAuth::RequireAndVerify,
        ),
    ] {
        let config = read(&tls(&[line, more])).expect("fine");
        assert_eq!(config.tls.map(|tls| tls.client_auth), Some(expected), "{line}");
    }
    mistakes(
        &tls(&["client_auth_type: RequireAndVerifyClientCert"]),
        &[
            "1: tls_server_config: verifies client certificates and has nothing to verify them by (client_ca_file)",
        ],
    );
    mistakes(
        &tls(&[ca]),
        &[
            "1: tls_server_config: has client_ca_file, but client_auth_type does not verify; use RequireAndVerifyClientCert",
        ],
    );
    mistakes(
        &tls(&["client_allowed_sans: [a]"]),
        &[
            "1: tls_server_config: has client_allowed_sans, but client_auth_type lets clients in without a certificate",
        ],
    );
}

#[test]
fn mistakes_of_tls() {
    mistakes(
        "tls_server_config:\n  cert_file: a\n",
        &["1: tls_server_config: has no key (key_file)"],
    );
    mistakes(
        "tls_server_config:\n  key: a\n",
        &["1: tls_server_config: has no certificate (cert_file)"],
    );
    mistakes(
        &tls(&[
            "cert: PEM",
            "client_auth_type: Maybe",
            "min_version: TLS11",
            "max_version: SSL3",
        ]),
        &[
            "4: tls_server_config.cert: is given both inline and as a file; one of them must go",
            "5: tls_server_config.client_auth_type: `Maybe` is none of NoClientCert, RequestClientCert, \
             RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert",
            "6: tls_server_config.min_version: TLS11 is broken and not offered; TLS12 or TLS13",
            "7: tls_server_config.max_version: `SSL3` is none of TLS12, TLS13",
        ],
    );
    mistakes(
        &tls(&[
            "cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]",
            "curve_preferences: [CurveP521]",
            "client_allowed_sans: [a@b, \"\"]",
        ]),
        &[
            "4: tls_server_config.cipher_suites: `TLS_RSA_WITH_RC4_128_SHA` is not offered; offered are \
             TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, \
             TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, \
             TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "5: tls_server_config.curve_preferences: `CurveP521` is not offered; offered are X25519, CurveP256, CurveP384",
            "6: tls_server_config.client_allowed_sans: `a@b`: e-mail addresses are not compared here; use a DNS name, an \
             address or a URI",
            "6: tls_server_config.client_allowed_sans: must not be empty",
        ],
    );
    mistakes(
        &tls(&["min_version: TLS13", "max_version: TLS12"]),
        &["1: tls_server_config: min_version is above max_version"],
    );
    mistakes(
        "tls_server_config:\n  cert_fil: a\n  key_file: \"\"\n",
        &[
            "2: tls_server_config.cert_fil: unknown; the nearest known name is `cert_file`",
            "3: tls_server_config.key_file: must not be empty",
        ],
    );
}

#[test]
fn mistakes_of_the_rest() {
    mistakes(
        &format!(
            "basic_auth_user: {{}}\nbasic_auth_users:\n  a: secret\n  b:c: {HASH}\n  d: [x]\nrate_limit: {{interval: 5, burst: 0}}\n\
             http_server_config:\n  http2: maybe\n  headers:\n    X-Frame-Options: allow\n    X-Powered-By: a\n    \
             X-XSS-Protection: \"a\\nb\"\n"
        ),
        &[
            "1: basic_auth_user: unknown; the nearest known name is `basic_auth_users`",
            "3: basic_auth_users.a: is not a bcrypt hash; make one with `htpasswd -nBC 10 \"\"`",
            "4: basic_auth_users.b:c: a user name with a colon cannot be sent",
            "5: basic_auth_users.d: must be a single value, not a list",
            "6: rate_limit.interval: `5` is not a duration between 1ms and 1h; write for example 500ms, 90s, 15m, 1h",
            "6: rate_limit.burst: `0` is not a number between 1 and 1000000",
            "8: http_server_config.http2: `maybe` is neither true nor false",
            "11: http_server_config.headers.X-Powered-By: unknown",
            "10: http_server_config.headers.X-Frame-Options: `allow` is none of deny, sameorigin",
            "12: http_server_config.headers.X-XSS-Protection: cannot be sent in a header",
        ],
    );
    let users: Vec<_> = (0..1001).map(|index| format!("\n  u{index}: {HASH}")).collect();
    let many = format!("basic_auth_users:{}\n", users.concat());
    mistakes(
        &many,
        &["2: basic_auth_users: 1001 users are too many; at most 1000"],
    );
    mistakes("- a\n", &["1: must be a mapping, not a list"]);
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(
        text in "((tls_server_config|cert|key_file|client_allowed_sans|basic_auth_users|rate_limit|burst)(: | :|:\n  )(\\[|\\{|x|1|\"|- |\\}|\\])*\n?){0,8}"
    ) {
        let _ = read(&text);
    }
}
