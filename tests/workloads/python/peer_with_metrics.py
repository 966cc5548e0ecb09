"""The grpcio workload with metrics inside, as services have them that nobody observes: an interceptor that counts calls
by method and status, those in flight, and their durations. Measured against the same program without."""

import functools
import time

import grpc
import prometheus_client

import peer

REQUESTS = prometheus_client.Counter("grpc_requests", "Calls", ["service", "method", "status"])
IN_FLIGHT = prometheus_client.Gauge("grpc_requests_in_flight", "Calls now", ["service", "method"])
DURATION = prometheus_client.Histogram("grpc_request_duration_seconds", "Durations", ["service", "method"])


class Metrics(grpc.ServerInterceptor):
    def intercept_service(self, continuation, details):
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        behaviour, method = handler.unary_unary, details.method

        def measured(request, context):
            begun = time.perf_counter()
            IN_FLIGHT.labels("peer", method).inc()
            status = "OK"
            try:
                return behaviour(request, context)
            except Exception:
                status = "UNKNOWN"
                raise
            finally:
                code = context.code()
                REQUESTS.labels("peer", method, code.name if code else status).inc()
                DURATION.labels("peer", method).observe(time.perf_counter() - begun)
                IN_FLIGHT.labels("peer", method).dec()

        return grpc.unary_unary_rpc_method_handler(
            measured, handler.request_deserializer, handler.response_serializer
        )


if __name__ == "__main__":
    grpc.server = functools.partial(grpc.server, interceptors=[Metrics()])
    peer.main()
