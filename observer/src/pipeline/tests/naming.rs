//! Names that come at once, late, better than before, or not at all.

use super::*;

#[test]
fn named_after_the_connection_has_ended() {
    let mut bench = Bench::new(true, 10);
    bench.open(7, Protocol::Http2);
    bench.call(7, "0");
    bench.gone(7);
    assert!(
        !bench.text().contains("marty_grpc_requests_total{"),
        "{}",
        bench.text()
    );
    bench.pipeline.naming.ready.push((7, attributed("late")));
    bench.sweep();
    bench.expect(r#"marty_grpc_requests_total{service="late",method="/p.S/M",status="OK"} 1"#);
    bench.expect(r#"marty_grpc_active_connections{service="late"} 0"#);
    assert!(!bench.pipeline.holds(7));
}

#[test]
fn named_by_the_uid_until_pods_are_known() {
    let mut bench = Bench::new(false, 10);
    bench.pipeline.naming.unlisted = true;
    bench.open(7, Protocol::Http2);
    let request = [
        (":method", "POST"),
        (":path", "/p.S/M"),
        ("content-type", "application/grpc"),
    ];
    bench.headers(7, Direction::Ingress, 0, &request);
    bench.expect(r#"marty_grpc_requests_in_flight{service="uid",method="/p.S/M"} 1"#);
    bench.pipeline.naming.unlisted = false;
    bench.pipeline.naming.version += 1;
    bench.sweep();
    bench.expect(r#"marty_grpc_active_connections{service="uid"} 1"#);
    let response = [(":status", "200"), ("grpc-status", "0")];
    bench.headers(7, Direction::Egress, END_STREAM, &response);
    // It ends under the name that it began with.
    bench.expect(r#"marty_grpc_requests_total{service="uid",method="/p.S/M",status="OK"} 1"#);
    bench.expect(r#"marty_grpc_requests_in_flight{service="uid",method="/p.S/M"} 0"#);
    bench.expect(r#"marty_grpc_active_connections{service="uid"} 0"#);
    bench.expect(r#"marty_grpc_active_connections{service="svc"} 1"#);
    bench.stream = 3;
    bench.call(7, "0");
    bench.expect(r#"marty_grpc_requests_total{service="svc",method="/p.S/M",status="OK"} 1"#);
    bench.expect(r#"marty_grpc_active_connections{service="svc"} 1"#);
    bench.gone(7);
    bench.expect(r#"marty_grpc_active_connections{service="svc"} 0"#);
}

/// A name is asked for again when there may be a better one, of few connections at a time, and not taken away for want
/// of one.
#[test]
fn better_names_are_asked_for_now_and_then() {
    let connections = 2 * MAX_RENEWALS + 10;
    let mut bench = Bench::new(false, connections);
    bench.pipeline.naming.unlisted = true;
    for connection in 1..=connections as u64 {
        bench.sequence = [0; 2];
        bench.open(connection, Protocol::Http2);
        bench.call(connection, "0");
    }
    let asked = |bench: &mut Bench| {
        bench.sweep();
        std::mem::take(&mut bench.pipeline.naming.asked)
    };
    asked(&mut bench);
    assert_eq!(asked(&mut bench), 0, "there are no other names than before");
    bench.pipeline.naming.version += 1;
    bench.pipeline.naming.full = true;
    let asked = [(); 4].map(|()| asked(&mut bench));
    assert_eq!(asked, [MAX_RENEWALS, MAX_RENEWALS, 10, 0]);
    bench.expect(&format!(
        r#"marty_grpc_active_connections{{service="uid"}} {connections}"#
    ));
    assert!(!bench.text().contains(r#"service="_unknown"#), "{}", bench.text());
}

#[test]
fn refused_a_name_and_asked_for_it_again() {
    let mut bench = Bench::new(false, 10);
    bench.pipeline.naming.full = true;
    bench.open(7, Protocol::Http2);
    bench.call(7, "0");
    bench.expect(r#"marty_grpc_requests_total{service="_unknown",method="/p.S/M",status="OK"} 1"#);
    bench.sweep();
    bench.expect(r#"marty_grpc_active_connections{service="_unknown"} 1"#);
    bench.pipeline.naming.full = false;
    bench.sweep();
    bench.expect(r#"marty_grpc_active_connections{service="_unknown"} 0"#);
    bench.expect(r#"marty_grpc_active_connections{service="svc"} 1"#);
}

/// However many calls wait for a name, and whether they end before it comes or after, none stays in flight.
#[test]
fn calls_without_number_wait_for_a_name() {
    const CALLS: u64 = 6_000;
    let mut bench = Bench::new(true, 10);
    bench.open(7, Protocol::Http2);
    let request = [
        (":method", "POST"),
        (":path", "/p.S/M"),
        ("content-type", "application/grpc"),
    ];
    let end = |bench: &mut Bench, stream| {
        bench.stream = stream;
        let response = [(":status", "200"), ("grpc-status", "5")];
        bench.headers(7, Direction::Egress, END_STREAM, &response);
    };
    let open: Vec<u32> = (0..50).map(|number| 1 + 2 * number).collect();
    for stream in &open {
        bench.stream = *stream;
        bench.headers(7, Direction::Ingress, 0, &request);
    }
    for _ in 0..CALLS {
        bench.stream += 2;
        bench.call(7, "0");
    }
    let (before, after) = open.split_at(40);
    for stream in before {
        end(&mut bench, *stream);
    }
    bench.pipeline.naming.ready.push((7, attributed("late")));
    bench.sweep();
    let of = r#"{service="late",method="/p.S/M""#;
    bench.expect(&format!("marty_grpc_requests_in_flight{of}}} 10"));
    for stream in after {
        end(&mut bench, *stream);
    }
    bench.expect(&format!("marty_grpc_requests_in_flight{of}}} 0"));
    bench.expect(&format!("marty_grpc_requests_started_total{of}}} 6050"));
    bench.expect(&format!(r#"marty_grpc_requests_total{of},status="OK"}} 6000"#));
    bench.expect(&format!(
        r#"marty_grpc_requests_total{of},status="NOT_FOUND"}} 50"#
    ));
    bench.expect(&format!("marty_grpc_request_duration_seconds_count{of}}} 6050"));
    bench.expect(r#"marty_observer_lost_total{reason="unnamed_call"} 0"#);
}

/// More new connections than may wait: the calls of those above are nobody's, from beginning to end.
#[test]
fn no_room_to_wait_for_a_name() {
    let mut bench = Bench::new(true, 10);
    bench.pipeline.waiting = waiting::MAX_WAITING;
    bench.open(7, Protocol::Http2);
    bench.call(7, "0");
    bench.expect(r#"marty_grpc_requests_total{service="_unknown",method="/p.S/M",status="OK"} 1"#);
    bench.expect(r#"marty_grpc_requests_in_flight{service="_unknown",method="/p.S/M"} 0"#);
    bench.pipeline.waiting = 0;
    bench.pipeline.naming.ready.push((7, attributed("late")));
    bench.sweep();
    bench.stream += 2;
    bench.call(7, "0");
    bench.expect(r#"marty_grpc_requests_total{service="late",method="/p.S/M",status="OK"} 1"#);
    bench.expect(r#"marty_grpc_requests_started_total{service="late",method="/p.S/M"} 1"#);
}

#[test]
fn a_connection_without_a_name_goes_at_the_ceiling_too() {
    let mut bench = Bench::new(true, 1);
    bench.open(1, Protocol::Http2);
    bench.call(1, "0");
    assert_ne!(bench.pipeline.waiting, 0);
    bench.sequence = [0; 2];
    bench.open(2, Protocol::Http2);
    assert_eq!([1, 2].map(|cookie| bench.pipeline.holds(cookie)), [false, true]);
    assert_eq!(bench.pipeline.waiting, 0);
    bench.expect(r#"marty_observer_lost_total{reason="unnamed_call"} 1"#);
}
