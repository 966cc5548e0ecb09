// Go workload: grpc-go as server or client. The protocol is in ../README.md.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	host                                    string
	port, maxAgeMs, keepaliveMs, maxStreams int
	address, tls                            string
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: peer server|client …")
	}
	var o options
	flags := flag.NewFlagSet("peer", flag.ExitOnError)
	limit := flags.Int("limit-s", 300, "end with exit code 3 after this many seconds")
	flags.StringVar(&o.host, "host", "127.0.0.1", "address to listen on")
	flags.IntVar(&o.port, "port", 0, "port to listen on, 0 for any")
	flags.IntVar(&o.maxAgeMs, "max-age-ms", 0, "GOAWAY after this age of a connection")
	flags.IntVar(&o.keepaliveMs, "keepalive-ms", 0, "PING after this time of silence")
	flags.IntVar(&o.maxStreams, "max-streams", 0, "MAX_CONCURRENT_STREAMS")
	flags.StringVar(&o.tls, "tls", "", "folder of certificates: TLS")
	arguments := os.Args[2:]
	if os.Args[1] == "client" && len(arguments) > 0 {
		o.address, arguments = arguments[0], arguments[1:]
	}
	if err := flags.Parse(arguments); err != nil {
		log.Fatal(err)
	}
	time.AfterFunc(time.Duration(*limit)*time.Second, func() { os.Exit(3) })
	storm := make(chan os.Signal, 1)
	signal.Notify(storm, syscall.SIGUSR2)
	switch os.Args[1] {
	case "server":
		runServer(o)
	case "client":
		runClient(o)
	default:
		log.Fatal(fmt.Errorf("unknown role %q", os.Args[1]))
	}
}
