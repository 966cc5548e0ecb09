// Client: runs plans, a goroutine per concurrent call.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const readyTimeout = 20 * time.Second

// dial opens one connection. No retries: a hidden second attempt would be a call that the tally does not have.
func dial(address string, security credentials.TransportCredentials) *grpc.ClientConn {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(security),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithNoProxy(), grpc.WithMaxHeaderListSize(256<<10),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2*maxMessage)))
	if err != nil {
		log.Fatal(err)
	}
	ctx, done := context.WithTimeout(context.Background(), readyTimeout)
	defer done()
	conn.Connect()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		if !conn.WaitForStateChange(ctx, state) {
			log.Fatalf("no connection to %s", address)
		}
	}
	return conn
}

// call makes one call on one connection.
func (s *step) call(counts *tally, conn *grpc.ClientConn) {
	counts.started(s.Method)
	begun := time.Now()
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(context.Background(), s.metadata()))
	defer cancel()
	if s.DeadlineMs > 0 {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, time.Duration(s.DeadlineMs)*time.Millisecond)
		defer done()
	}
	if s.CancelAfterMs > 0 {
		timer := time.AfterFunc(time.Duration(s.CancelAfterMs)*time.Millisecond, cancel)
		defer timer.Stop()
	}
	var sizes []int
	var err error
	if s.Kind == "unary" {
		sizes, err = s.unary(ctx, counts, conn)
	} else {
		sizes, err = s.stream(ctx, cancel, counts, conn)
	}
	ended := status.Convert(err)
	name := statuses[min(int(ended.Code()), len(statuses)-1)]
	counts.ended(s.Method, name, time.Since(begun))
	s.check(counts, name, ended.Message(), sizes)
}

func (s *step) unary(ctx context.Context, counts *tally, conn *grpc.ClientConn) ([]int, error) {
	var answer []byte
	counts.request(s.Method, s.first)
	if err := conn.Invoke(ctx, s.Method, &s.first, &answer); err != nil {
		return nil, err
	}
	counts.response(s.Method, answer)
	return []int{len(answer)}, nil
}

// stream makes a streaming call; in a conversation, each request waits for the answers to the one before.
func (s *step) stream(ctx context.Context, cancel func(), counts *tally, conn *grpc.ClientConn) ([]int, error) {
	desc := &grpc.StreamDesc{ServerStreams: s.Kind != "client", ClientStreams: s.Kind != "server"}
	stream, err := conn.NewStream(ctx, desc, s.Method)
	if err != nil {
		return nil, err
	}
	var sizes []int
	receive := func() error {
		var answer []byte
		err := stream.RecvMsg(&answer)
		if err == nil {
			counts.response(s.Method, answer)
			sizes = append(sizes, len(answer))
			if s.CancelAfterFirst {
				cancel()
			}
		}
		return err
	}
	for number := 0; number < s.RequestCount && err == nil; number++ {
		data := s.request(number)
		if stream.SendMsg(&data) != nil {
			break
		}
		counts.request(s.Method, data)
		for each := 0; s.Kind == "bidi" && each < s.answersEach() && err == nil; each++ {
			err = receive()
		}
	}
	if err == nil {
		_ = stream.CloseSend()
	}
	for err == nil {
		err = receive()
		if s.Kind == "client" && err == nil {
			return sizes, nil
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return sizes, err
}

// run makes all calls of a step.
func (s *step) run(counts *tally, pool *pool) {
	var turns atomic.Int64
	var workers sync.WaitGroup
	for index := range s.Connections {
		var conn *grpc.ClientConn
		if !s.Churn {
			conn = pool.get(index)
		}
		for range s.Concurrency {
			workers.Go(func() {
				for turns.Add(1) <= int64(s.Count) {
					if s.Churn {
						own := dial(pool.address, pool.security)
						s.call(counts, own)
						_ = own.Close()
					} else {
						s.call(counts, conn)
					}
				}
			})
		}
	}
	workers.Wait()
}

// pool has the connections that stay open from one step, and one plan, to the next.
type pool struct {
	address  string
	security credentials.TransportCredentials
	open     []*grpc.ClientConn
}

func (p *pool) get(index int) *grpc.ClientConn {
	for len(p.open) <= index {
		p.open = append(p.open, dial(p.address, p.security))
	}
	return p.open[index]
}

func runClient(o options) {
	connections := &pool{address: o.address, security: clientCredentials(o.tls)}
	fmt.Println("READY")
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && lines.Text() != "quit" {
		var asked plan
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		counts := newTally()
		for _, data := range asked.Steps {
			s, err := parseStep(data)
			if err != nil {
				log.Fatal(err)
			}
			s.run(counts, connections)
		}
		counts.print()
	}
	for _, conn := range connections.open {
		_ = conn.Close()
	}
}
