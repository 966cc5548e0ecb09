// Plans: what a client is asked to do.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"google.golang.org/grpc/metadata"
)

const (
	maxCalls       = 1_000_000
	maxConnections = 20_000
)

type plan struct {
	Steps []json.RawMessage `json:"steps"`
}

type step struct {
	Method           string `json:"method"`
	Kind             string `json:"kind"`
	Count            int    `json:"count"`
	Connections      int    `json:"connections"`
	Concurrency      int    `json:"concurrency"`
	Churn            bool   `json:"churn"`
	RequestSize      int    `json:"request_size"`
	RequestCount     int    `json:"request_count"`
	DeadlineMs       int    `json:"deadline_ms"`
	CancelAfterMs    int    `json:"cancel_after_ms"`
	CancelAfterFirst bool   `json:"cancel_after_first"`
	MetadataSize     int    `json:"metadata_size"`
	MetadataUnique   bool   `json:"metadata_unique"`
	Status           int    `json:"status"`
	Message          string `json:"message"`
	SleepMs          int    `json:"sleep_ms"`
	LingerMs         int    `json:"linger_ms"`
	ResponseSize     int    `json:"response_size"`
	ResponseCount    int    `json:"response_count"`
	ResponseHeaders  int    `json:"response_headers"`
	ResponseTrailers int    `json:"response_trailers"`
	HeadersFirst     bool   `json:"headers_first"`
	Expect           string `json:"expect"`

	first          []byte
	sharedMetadata metadata.MD
}

func parseStep(data []byte) (*step, error) {
	s := &step{Method: "/truth.v1.Truth/Echo", Kind: "unary", Count: 1, Connections: 1, Concurrency: 1, RequestCount: 1}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, err
	}
	if s.Status < 0 || s.Status >= len(statuses) || s.Count > maxCalls || s.Connections > maxConnections {
		return nil, fmt.Errorf("step out of bounds: %s", data)
	}
	if s.Kind == "unary" || s.Kind == "server" {
		s.RequestCount = 1
	}
	if s.Expect == "" {
		s.Expect = statuses[s.Status]
	}
	s.first = s.command()
	s.sharedMetadata = addFiller(metadata.MD{}, s.MetadataSize, "")
	return s, nil
}

// command is the first message of every call.
func (s *step) command() []byte {
	flags := 0
	if s.HeadersFirst {
		flags = 1
	}
	fields := []int{s.Status, s.SleepMs, s.LingerMs, s.ResponseSize, s.ResponseCount, s.ResponseHeaders, s.ResponseTrailers, flags, len(s.Message)}
	var data []byte
	any := 0
	for _, field := range fields {
		data = binary.BigEndian.AppendUint32(data, uint32(field))
		any |= field
	}
	if any == 0 && s.RequestSize < headSize {
		return fill(s.RequestSize)
	}
	data = append(data, s.Message...)
	return append(data, fill(max(0, s.RequestSize-len(data)))...)
}

func (s *step) request(number int) []byte {
	if number == 0 {
		return s.first
	}
	return fill(s.RequestSize)
}

var marks atomic.Int64

func (s *step) metadata() metadata.MD {
	if s.MetadataUnique {
		return addFiller(metadata.MD{}, s.MetadataSize, fmt.Sprintf("%08d-", marks.Add(1)))
	}
	return s.sharedMetadata
}

// answers is how many messages answer one request message of a conversation.
func (s *step) answersEach() int { return max(1, s.ResponseCount) }

// answers is how many response messages a complete call brings.
func (s *step) answers() int {
	streaming := s.Kind == "server" || s.Kind == "bidi"
	switch {
	case s.Status != 0 && !(s.HeadersFirst && streaming):
		return 0
	case s.Kind == "server":
		return s.ResponseCount
	case s.Kind == "bidi":
		return s.answersEach() * s.RequestCount
	}
	return 1
}

// check compares the end of a call with what the plan wants; sizes are those of the answers.
func (s *step) check(counts *tally, got, detail string, sizes []int) {
	if s.Expect != "*" && s.Expect != got {
		counts.unexpected(s.Method, s.Expect, got, detail)
		return
	}
	if s.Expect == "*" || got == "CANCELLED" || got != statuses[s.Status] {
		return
	}
	right := len(sizes) == s.answers()
	for _, size := range sizes {
		right = right && size == s.ResponseSize
	}
	if !right {
		counts.unexpected(s.Method, s.Expect, "WRONG_ANSWER", fmt.Sprintf("%d answers", len(sizes)))
	}
}
