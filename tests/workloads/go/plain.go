//go:build !metrics

package main

import "google.golang.org/grpc"

// Nothing but the calls: see metrics.go.
func instrumentation() []grpc.ServerOption { return nil }
