// Counts of what this program itself did and saw.
package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"sync"
	"time"

	"google.golang.org/grpc"
)

var bounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

type methodTally struct {
	Started          int            `json:"started"`
	Ended            map[string]int `json:"ended"`
	RequestMessages  int            `json:"request_messages"`
	RequestBytes     int            `json:"request_bytes"`
	ResponseMessages int            `json:"response_messages"`
	ResponseBytes    int            `json:"response_bytes"`
	Seconds          float64        `json:"seconds"`
	Buckets          []int          `json:"buckets"`
}

type unexpected struct {
	Method string `json:"method"`
	Wanted string `json:"wanted"`
	Got    string `json:"got"`
	Count  int    `json:"count"`
	Detail string `json:"detail"`
}

type tally struct {
	lock       sync.Mutex
	Peer       string                  `json:"peer"`
	Version    string                  `json:"version"`
	Methods    map[string]*methodTally `json:"methods"`
	Unexpected []*unexpected           `json:"unexpected"`
}

func newTally() *tally {
	return &tally{Peer: "go", Version: "grpc-go " + grpc.Version, Methods: map[string]*methodTally{}, Unexpected: []*unexpected{}}
}

// of gives a method's counts; the caller holds the lock.
func (t *tally) of(method string) *methodTally {
	found := t.Methods[method]
	if found == nil {
		found = &methodTally{Ended: map[string]int{}, Buckets: make([]int, len(bounds)+1)}
		t.Methods[method] = found
	}
	return found
}

func (t *tally) started(method string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.of(method).Started++
}

func (t *tally) request(method string, data []byte) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.of(method).RequestMessages++
	t.of(method).RequestBytes += len(data)
}

func (t *tally) response(method string, data []byte) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.of(method).ResponseMessages++
	t.of(method).ResponseBytes += len(data)
}

func (t *tally) ended(method, status string, took time.Duration) {
	t.lock.Lock()
	defer t.lock.Unlock()
	of := t.of(method)
	of.Ended[status]++
	of.Seconds += took.Seconds()
	of.Buckets[sort.SearchFloat64s(bounds, took.Seconds())]++
}

func (t *tally) unexpected(method, wanted, got, detail string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	for _, entry := range t.Unexpected {
		if entry.Method == method && entry.Wanted == wanted && entry.Got == got {
			entry.Count++
			return
		}
	}
	t.Unexpected = append(t.Unexpected, &unexpected{method, wanted, got, 1, detail[:min(200, len(detail))]})
}

func (t *tally) print() {
	t.lock.Lock()
	defer t.lock.Unlock()
	line, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}
