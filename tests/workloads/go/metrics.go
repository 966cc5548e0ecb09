//go:build metrics

// With metrics of its own inside, as a service has that is instrumented by hand: an interceptor that counts calls by method
// and status, and times them.
package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

var (
	started = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "grpc_server_started_total", Help: "Calls begun.",
	}, []string{"grpc_method"})
	handled = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "grpc_server_handled_total", Help: "Calls ended.",
	}, []string{"grpc_method", "grpc_code"})
	handling = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "grpc_server_handling_seconds", Help: "Duration of calls.",
	}, []string{"grpc_method"})
)

func instrumentation() []grpc.ServerOption {
	prometheus.MustRegister(started, handled, handling)
	count := func(method string, call func() error) error {
		started.WithLabelValues(method).Inc()
		begun := time.Now()
		err := call()
		handling.WithLabelValues(method).Observe(time.Since(begun).Seconds())
		handled.WithLabelValues(method, status.Code(err).String()).Inc()
		return err
	}
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(func(
			ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
		) (answer any, err error) {
			err = count(info.FullMethod, func() error {
				answer, err = handler(ctx, request)
				return err
			})
			return answer, err
		}),
		grpc.StreamInterceptor(func(
			srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
		) error {
			return count(info.FullMethod, func() error { return handler(srv, stream) })
		}),
	}
}
