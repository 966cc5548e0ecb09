//! Every family there is: the one table that the exposition and the documentation come from.

use super::family::{Family, Group, Kind, Merge, Unit};

const fn server(kind: Kind, name: &'static str, labels: &'static [&'static str]) -> Family {
    Family::new(Group::Server, kind, name, labels)
}

const fn client(kind: Kind, name: &'static str, labels: &'static [&'static str]) -> Family {
    Family::new(Group::Client, kind, name, labels)
}

const fn service(name: &'static str, labels: &'static [&'static str]) -> Family {
    Family::new(Group::Service, Kind::Gauge, name, labels)
}

const fn node(name: &'static str, labels: &'static [&'static str]) -> Family {
    Family::new(Group::Node, Kind::Gauge, name, labels)
}

const fn own(kind: Kind, name: &'static str, labels: &'static [&'static str]) -> Family {
    Family::new(Group::Observer, kind, name, labels)
}

const METHOD: &[&str] = &["service", "method"];

pub static REQUESTS: Family = server(
    Kind::Counter,
    "marty_grpc_requests_total",
    &["service", "method", "status"],
)
.help("gRPC calls that ended, by the status they ended with.");
pub static DURATION: Family = server(Kind::Histogram, "marty_grpc_request_duration_seconds", METHOD)
    .unit(Unit::Seconds)
    .help("From the request reaching the server's socket to the end of the call leaving it.");
pub static ERRORS: Family = server(
    Kind::Counter,
    "marty_grpc_errors_total",
    &["service", "method", "error_type"],
)
.help("gRPC calls known to have ended other than OK.");
pub static ACTIVE_CONNECTIONS: Family = server(Kind::Gauge, "marty_grpc_active_connections", &["service"])
    .help("Open connections on which gRPC was recognised.");
pub static STARTED: Family = server(Kind::Counter, "marty_grpc_requests_started_total", METHOD)
    .help("gRPC calls whose beginning was seen.");
pub static IN_FLIGHT: Family =
    server(Kind::Gauge, "marty_grpc_requests_in_flight", METHOD).help("gRPC calls begun and not ended.");
pub static REQUEST_BYTES: Family = server(Kind::Counter, "marty_grpc_request_bytes_total", METHOD)
    .unit(Unit::Bytes)
    .help("DATA payload sent to the server.");
pub static RESPONSE_BYTES: Family = server(Kind::Counter, "marty_grpc_response_bytes_total", METHOD)
    .unit(Unit::Bytes)
    .help("DATA payload sent by the server.");

pub static CLIENT_REQUESTS: Family = client(
    Kind::Counter,
    "marty_grpc_client_requests_total",
    &["service", "peer", "method", "status"],
)
.help("gRPC calls made by the service that ended, by the status they ended with.");
pub static CLIENT_DURATION: Family = client(
    Kind::Histogram,
    "marty_grpc_client_request_duration_seconds",
    &["service", "peer", "method"],
)
.unit(Unit::Seconds)
.help("From the request leaving the caller's socket to the end of the call reaching it.");
pub static CLIENT_ERRORS: Family = client(
    Kind::Counter,
    "marty_grpc_client_errors_total",
    &["service", "peer", "method", "error_type"],
)
.help("gRPC calls made by the service known to have ended other than OK.");

pub static SERVICE_CPU: Family = service("marty_service_cpu_usage_percent", &["service"])
    .help("CPU time used over the last collection interval, in percent of one core.");
pub static SERVICE_MEMORY: Family = service("marty_service_memory_usage_bytes", &["service"])
    .unit(Unit::Bytes)
    .help("Working set: cgroup usage without inactive file pages, or RSS of a plain process.");
pub static DATABASE_CONNECTIONS: Family =
    service("marty_database_connections_active", &["service", "database"])
        .help("Established TCP connections from the service to a database.");
pub static SERVICE_HEALTH: Family = service("marty_service_health_status", &["service"])
    .merge(Merge::Least)
    .help("1: pod ready, or process alive and listening; 0: not.");
pub static LAST_SUCCESS: Family = service("marty_last_successful_operation_timestamp", &["service"])
    .merge(Merge::Greatest)
    .help("Unix time, in seconds, of the last call that ended OK.");
pub static SERVICE_INFO: Family = service("marty_service_info", &["service", "version", "workload", "node"])
    .merge(Merge::Greatest)
    .help("Always 1; what is known about the service.");

pub static NODE_CPU: Family =
    node("marty_node_cpu_usage_percent", &[]).help("CPU use of the node, in percent of all its cores.");
pub static NODE_MEMORY_TOTAL: Family = node("marty_node_memory_total_bytes", &[])
    .unit(Unit::Bytes)
    .help("Memory of the node.");
pub static NODE_MEMORY_AVAILABLE: Family = node("marty_node_memory_available_bytes", &[])
    .unit(Unit::Bytes)
    .help("Memory that can be had without swapping.");
pub static NODE_CONNECTIONS: Family =
    node("marty_node_tcp_connections", &["state"]).help("TCP sockets of the node, by state.");

pub static BUILD_INFO: Family = own(Kind::Gauge, "marty_observer_build_info", &["version"])
    .merge(Merge::Greatest)
    .help("Always 1; the version of the observer.");
pub static START_TIME: Family = own(Kind::Gauge, "marty_observer_start_time_seconds", &[])
    .unit(Unit::Seconds)
    .help("Unix time at which the observer started.");
pub static EVENTS: Family =
    own(Kind::Counter, "marty_observer_events_read_total", &[]).help("Records read from the kernel.");
pub static LOST: Family = own(Kind::Counter, "marty_observer_lost_total", &["reason"])
    .help("Times that something on the wire did not come through, by reason. At 0, the counts are complete.");
pub static UNKNOWN_FIELDS: Family = own(Kind::Counter, "marty_observer_unknown_header_fields_total", &[])
    .help("Header fields that could not be known: they refer to what was sent before the observer looked.");
pub static RESYNCHRONISATIONS: Family = own(Kind::Counter, "marty_observer_resynchronisations_total", &[])
    .help("Times that a frame boundary was found again after a loss or a late start.");
pub static CONNECTIONS: Family = own(Kind::Gauge, "marty_observer_connections", &["protocol"])
    .help(
        "Open TCP connections by what they carry. What is inside of tls stays hidden, but where it is looked into (--tls) and \
         tied to its socket.",
    );
pub static CONNECTIONS_SEEN: Family = own(
    Kind::Counter,
    "marty_observer_connections_seen_total",
    &["protocol"],
)
.help("TCP connections by what they carried, counted once that was decided.");
pub static OTHER_REQUESTS: Family = own(Kind::Counter, "marty_observer_other_requests_total", &[])
    .help("HTTP/2 requests that are not gRPC (gRPC-Web among them).");
pub static CONNECTIONS_HELD: Family = own(Kind::Gauge, "marty_observer_connections_held", &[])
    .help("Connections that the daemon holds decoding state for.");
pub static CALLS_HELD: Family = own(Kind::Gauge, "marty_observer_calls_held", &[])
    .help("Calls begun and not ended, of both sides, that the daemon holds state for.");
pub static SERIES_HELD: Family =
    own(Kind::Gauge, "marty_observer_series_held", &[]).help("Series of calls that are exported now.");
pub static SERIES_CEILING: Family = own(Kind::Gauge, "marty_observer_series_ceiling", &[])
    .help("Series of calls above which nothing new gets series of its own.");
pub static SERIES_EXPIRED: Family = own(Kind::Counter, "marty_observer_series_expired_total", &[])
    .help("Series that went because nothing was counted into them for too long.");
pub static SERIES_REFUSED: Family = own(Kind::Counter, "marty_observer_series_refused_total", &["reason"])
    .help(
        "Times that a service, a method or a sample got no series of its own; calls then count under _other.",
    );
pub static ATTRIBUTION_MISSES: Family = own(Kind::Counter, "marty_observer_attribution_misses_total", &[])
    .help("Connections whose service could not be found.");
pub static PODS: Family =
    own(Kind::Gauge, "marty_observer_pods", &[]).help("Living pods of this node that are known by name.");
pub static POD_ORIGIN: Family = own(Kind::Gauge, "marty_observer_pod_names_origin", &["origin"])
    .merge(Merge::Greatest)
    .help("1 for where names of pods come from now: api, kubelet, cgroup (the UID alone) or off (not asked for).");
pub static KUBERNETES_FAILING: Family = own(Kind::Gauge, "marty_observer_kubernetes_failing", &["list"])
    .merge(Merge::Greatest)
    .help("1 while this list of Kubernetes cannot be had; what was known before stays known.");
pub static KUBERNETES_ERRORS: Family = own(Kind::Counter, "marty_observer_kubernetes_errors_total", &[])
    .help("Requests to the API server or the kubelet that failed.");
pub static KUBERNETES_EVENTS: Family = own(Kind::Counter, "marty_observer_kubernetes_events_total", &[])
    .help("Pods and Services that the API server has told of, again at each change.");
pub static KUBERNETES_LISTS: Family = own(Kind::Counter, "marty_observer_kubernetes_lists_total", &[]).help(
    "Whole lists that the API server was asked for; after the first two each is a watch that was lost.",
);
pub static LEFT_OUT: Family = own(Kind::Gauge, "marty_observer_left_out", &["what"])
    .help(
        "What identity and gauges left out because of a ceiling (connections: because CAP_SYS_PTRACE is missing). At 0, \
         they cover the node.",
    );
pub static OLDEST_SOCKETS: Family = own(Kind::Gauge, "marty_observer_oldest_sockets_seconds", &[])
    .unit(Unit::Seconds)
    .help(
        "For how long a list of sockets of another network namespace has been behind at most: database connections there may \
         be so old.",
    );
pub static PROCESSES_DENIED: Family = own(Kind::Gauge, "marty_observer_processes_denied", &[])
    .help("Processes whose sockets may not be seen, which takes CAP_SYS_PTRACE, at the last look.");
pub static GAUGE_PASS: Family = own(Kind::Gauge, "marty_observer_collection_seconds", &[])
    .unit(Unit::Seconds)
    .help("What the last pass over the CPU, memory and connections of services took.");
pub static CPU_SECONDS: Family = own(Kind::Counter, "marty_observer_cpu_seconds_total", &[])
    .unit(Unit::Seconds)
    .help("CPU time of the daemon, user and system. Kernel programs run on the account of whoever sends.");
pub static RESIDENT_MEMORY: Family = own(Kind::Gauge, "marty_observer_resident_memory_bytes", &[])
    .unit(Unit::Bytes)
    .help("Resident memory of the daemon.");
pub static PROGRAM_RUNS: Family = own(Kind::Counter, "marty_observer_program_runs_total", &["program"])
    .help("Runs of a kernel program, where the kernel counts them (kernel.bpf_stats_enabled).");
pub static PROGRAM_SECONDS: Family = own(
    Kind::Counter,
    "marty_observer_program_run_seconds_total",
    &["program"],
)
.unit(Unit::Seconds)
.help("Time spent in a kernel program, where the kernel counts it.");
pub static SCRAPES: Family =
    own(Kind::Counter, "marty_observer_scrapes_total", &[]).help("Scrapes answered, this one not included.");
pub static ENDPOINT_REFUSED: Family = own(
    Kind::Counter,
    "marty_observer_endpoint_refused_total",
    &["reason"],
)
.help("Connections and requests that the endpoint refused or cut off, by reason.");
pub static WEB_CONFIG_RELOADS: Family = own(
    Kind::Counter,
    "marty_observer_web_config_reloads_total",
    &["result"],
)
.help("Times that the changed web configuration file was read; after a failure the old one stays.");
pub static TLS_FILES: Family = own(Kind::Gauge, "marty_observer_tls_files", &["verdict"]).help(
    "With --tls: program files and libraries in which processes encrypt, by whether they are probed; \
         observer check --targets names them.",
);
pub static LOG_SUPPRESSED: Family = own(Kind::Counter, "marty_observer_log_suppressed_total", &[])
    .help("Log lines left out because the same line came too often.");

/// In the order of the exposition and of the documentation.
pub static ALL: &[&Family] = &[
    &REQUESTS,
    &DURATION,
    &ERRORS,
    &ACTIVE_CONNECTIONS,
    &STARTED,
    &IN_FLIGHT,
    &REQUEST_BYTES,
    &RESPONSE_BYTES,
    &CLIENT_REQUESTS,
    &CLIENT_DURATION,
    &CLIENT_ERRORS,
    &SERVICE_CPU,
    &SERVICE_MEMORY,
    &DATABASE_CONNECTIONS,
    &SERVICE_HEALTH,
    &LAST_SUCCESS,
    &SERVICE_INFO,
    &NODE_CPU,
    &NODE_MEMORY_TOTAL,
    &NODE_MEMORY_AVAILABLE,
    &NODE_CONNECTIONS,
    &BUILD_INFO,
    &START_TIME,
    &EVENTS,
    &LOST,
    &UNKNOWN_FIELDS,
    &RESYNCHRONISATIONS,
    &CONNECTIONS,
    &CONNECTIONS_SEEN,
    &OTHER_REQUESTS,
    &CONNECTIONS_HELD,
    &CALLS_HELD,
    &SERIES_HELD,
    &SERIES_CEILING,
    &SERIES_EXPIRED,
    &SERIES_REFUSED,
    &ATTRIBUTION_MISSES,
    &PODS,
    &POD_ORIGIN,
    &KUBERNETES_FAILING,
    &KUBERNETES_ERRORS,
    &KUBERNETES_EVENTS,
    &KUBERNETES_LISTS,
    &LEFT_OUT,
    &PROCESSES_DENIED,
    &OLDEST_SOCKETS,
    &GAUGE_PASS,
    &CPU_SECONDS,
    &RESIDENT_MEMORY,
    &PROGRAM_RUNS,
    &PROGRAM_SECONDS,
    &SCRAPES,
    &ENDPOINT_REFUSED,
    &WEB_CONFIG_RELOADS,
    &TLS_FILES,
    &LOG_SUPPRESSED,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_family_keeps_the_rules_of_the_exposition() {
        let mut names = HashSet::new();
        for family in ALL {
            assert!(names.insert(family.base_name()), "{} twice", family.name);
            assert!(
                family.help.ends_with('.') && !family.help.contains(['\n', '\\']),
                "help of {}",
                family.name
            );
            assert_eq!(
                family.kind == Kind::Counter,
                family.name.ends_with("_total"),
                "{}",
                family.name
            );
            if let Some(unit) = family.unit.name() {
                assert!(
                    family.base_name().ends_with(unit),
                    "{} has not its unit at the end",
                    family.name
                );
            }
            let own = family
                .labels
                .iter()
                .all(|label| !["namespace", "pod", "le"].contains(label));
            assert!(own, "{} has a label that is added to it", family.name);
        }
    }
}
