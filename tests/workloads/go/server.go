// Server: carries out the commands that requests bring.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

type server struct{ counts *tally }

// call is one call: its pauses and its end in the tally.
type call struct {
	*server
	method  string
	ctx     context.Context
	begun   time.Time
	counted atomic.Bool
}

type callKey struct{}

// TagRPC begins a call before its first message: one that is given up until then never comes to its handler.
func (s *server) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	s.counts.started(info.FullMethodName)
	return context.WithValue(ctx, callKey{}, &call{server: s, method: info.FullMethodName, begun: time.Now()})
}

// HandleRPC counts the end of a call that nobody else has counted.
func (s *server) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if _, over := event.(*stats.End); over {
		ctx.Value(callKey{}).(*call).count(uint32(codes.Canceled))
	}
}

func (*server) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*server) HandleConn(context.Context, stats.ConnStats)                       {}

// accept finds the call that a handler has been called for.
func accept(ctx context.Context) *call {
	c := ctx.Value(callKey{}).(*call)
	c.ctx = ctx
	return c
}

func (c *call) count(code uint32) {
	if c.counted.CompareAndSwap(false, true) {
		c.counts.ended(c.method, statuses[code], time.Since(c.begun))
	}
}

func (c *call) pause(ms uint32) {
	if ms == 0 {
		return
	}
	select {
	case <-c.ctx.Done():
	case <-time.After(time.Duration(ms) * time.Millisecond):
	}
}

// end counts the call, then answers its status: what a client has seen is always counted.
func (c *call) end(cmd command) error {
	code := cmd.status
	switch c.ctx.Err() {
	case context.Canceled:
		code = uint32(codes.Canceled)
	case context.DeadlineExceeded:
		code = uint32(codes.DeadlineExceeded)
	}
	c.count(code)
	return status.Error(codes.Code(code), cmd.message)
}

func (s *server) unary(method string) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		c := accept(ctx)
		var request []byte
		if err := decode(&request); err != nil {
			return nil, err
		}
		s.counts.request(method, request)
		cmd := parseCommand(request)
		c.pause(cmd.sleepMs)
		headers := addFiller(metadata.MD{}, int(cmd.responseHeaders), "")
		if cmd.status == 0 {
			_ = grpc.SetHeader(ctx, headers)
		} else if cmd.headersFirst() {
			_ = grpc.SendHeader(ctx, headers)
		}
		_ = grpc.SetTrailer(ctx, addFiller(metadata.MD{}, int(cmd.responseTrailers), ""))
		answer := fill(int(cmd.responseSize))
		if cmd.status == 0 && ctx.Err() == nil {
			s.counts.response(method, answer)
		}
		return &answer, c.end(cmd)
	}
}

func (c *call) receive(stream grpc.ServerStream) ([]byte, error) {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return nil, err
	}
	c.counts.request(c.method, request)
	return request, nil
}

func (c *call) send(stream grpc.ServerStream, cmd command, count uint32) {
	for answer := fill(int(cmd.responseSize)); count > 0 && stream.SendMsg(&answer) == nil; count-- {
		c.counts.response(c.method, answer)
	}
}

func (c *call) headers(stream grpc.ServerStream, cmd command) {
	c.pause(cmd.sleepMs)
	if cmd.headersFirst() {
		_ = stream.SendHeader(addFiller(metadata.MD{}, int(cmd.responseHeaders), ""))
	}
	stream.SetTrailer(addFiller(metadata.MD{}, int(cmd.responseTrailers), ""))
}

func (s *server) download(_ any, stream grpc.ServerStream) error {
	c := accept(stream.Context())
	request, _ := c.receive(stream)
	cmd := parseCommand(request)
	c.headers(stream, cmd)
	if cmd.headersFirst() {
		c.send(stream, cmd, cmd.responseCount)
	}
	c.pause(cmd.lingerMs)
	return c.end(cmd)
}

func (s *server) upload(_ any, stream grpc.ServerStream) error {
	c := accept(stream.Context())
	first, err := c.receive(stream)
	for err == nil {
		_, err = c.receive(stream)
	}
	cmd := parseCommand(first)
	c.headers(stream, cmd)
	if cmd.status == 0 {
		c.send(stream, cmd, 1)
	}
	return c.end(cmd)
}

func (s *server) chat(_ any, stream grpc.ServerStream) error {
	c := accept(stream.Context())
	request, err := c.receive(stream)
	cmd := parseCommand(request)
	c.headers(stream, cmd)
	for err == nil && cmd.headersFirst() {
		c.send(stream, cmd, max(1, cmd.responseCount))
		_, err = c.receive(stream)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		<-c.ctx.Done()
	}
	c.pause(cmd.lingerMs)
	return c.end(cmd)
}

// describe makes one service of the methods that begin with its name.
func (s *server) describe(service string) *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil)}
	for method, kind := range methods {
		name, ours := strings.CutPrefix(method, "/"+service+"/")
		switch {
		case !ours:
		case kind == "unary":
			desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name, Handler: s.unary(method)})
		case kind == "server":
			desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: name, Handler: s.download, ServerStreams: true})
		case kind == "client":
			desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: name, Handler: s.upload, ClientStreams: true})
		default:
			desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: name, Handler: s.chat, ServerStreams: true, ClientStreams: true})
		}
	}
	return desc
}

func (s *server) unknown(_ any, stream grpc.ServerStream) error {
	return accept(stream.Context()).end(command{status: uint32(codes.Unimplemented), message: "unknown method"})
}

func serverOptions(o options) []grpc.ServerOption {
	chosen := []grpc.ServerOption{grpc.MaxRecvMsgSize(2 * maxMessage), grpc.MaxHeaderListSize(256 << 10)}
	chosen = append(chosen, grpc.Creds(serverCredentials(o.tls)))
	parameters := keepalive.ServerParameters{}
	if o.maxAgeMs > 0 {
		parameters.MaxConnectionAge = time.Duration(o.maxAgeMs) * time.Millisecond
		parameters.MaxConnectionAgeGrace = 5 * time.Second
	}
	if o.keepaliveMs > 0 {
		parameters.Time = time.Duration(o.keepaliveMs) * time.Millisecond
	}
	if o.maxStreams > 0 {
		chosen = append(chosen, grpc.MaxConcurrentStreams(uint32(o.maxStreams)))
	}
	chosen = append(chosen, instrumentation()...)
	return append(chosen, grpc.KeepaliveParams(parameters))
}

func runServer(o options) {
	s := &server{newTally()}
	listener, err := net.Listen("tcp", net.JoinHostPort(o.host, strconv.Itoa(o.port)))
	if err != nil {
		log.Fatal(err)
	}
	served := grpc.NewServer(append(serverOptions(o), grpc.UnknownServiceHandler(s.unknown), grpc.StatsHandler(s))...)
	for _, service := range []string{"truth.v1.Truth", "truth.v1.Inventory"} {
		served.RegisterService(s.describe(service), nil)
	}
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGTERM)
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() && lines.Text() != "quit" {
			if lines.Text() == "stats" {
				s.counts.print()
			}
		}
		over <- syscall.SIGTERM
	}()
	go func() {
		<-over
		force := time.AfterFunc(200*time.Millisecond, served.Stop)
		served.GracefulStop()
		force.Stop()
	}()
	fmt.Printf("READY port=%d\n", listener.Addr().(*net.TCPAddr).Port)
	// Told to end before it began: as good as after.
	if err := served.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		log.Fatal(err)
	}
	s.counts.print()
}
