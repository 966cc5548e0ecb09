// What every workload agrees on: methods, the command in the first message, filler. No gRPC server or client here.
package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
)

var methods = map[string]string{
	"/truth.v1.Truth/Echo":        "unary",
	"/truth.v1.Truth/Get":         "unary",
	"/truth.v1.Truth/Put":         "unary",
	"/truth.v1.Inventory/Reserve": "unary",
	"/truth.v1.Truth/Download":    "server",
	"/truth.v1.Inventory/Watch":   "server",
	"/truth.v1.Truth/Upload":      "client",
	"/truth.v1.Truth/Chat":        "bidi",
}

var statuses = strings.Fields(`OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS
	PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE
	DATA_LOSS UNAUTHENTICATED`)

const (
	headSize     = 36
	maxMessage   = 16 << 20
	maxMetadata  = 64 << 10
	maxPauseMs   = 120_000
	maxMessages  = 100_000
	metadataPart = 1000
)

// A whole HEADERS frame (END_STREAM, END_HEADERS, stream 1): an observer that loses its place counts it.
const frame = "\x00\x00\x05\x01\x05\x00\x00\x00\x01\x83\x86\x84\x41\x00"

var filler = []byte(strings.Repeat(frame, maxMessage/len(frame)+1))

func fill(size int) []byte { return filler[:min(size, len(filler))] }

// addFiller adds filler to metadata, mark making it unique.
func addFiller(to metadata.MD, size int, mark string) metadata.MD {
	text := mark + strings.Repeat("abcdefghijklmnopqrstuvwxyz0123456789", metadataPart/36+1)
	for number := 0; number*metadataPart < size; number++ {
		to.Set(fmt.Sprintf("x-truth-fill-%d", number), text[:min(metadataPart, size-number*metadataPart)])
	}
	return to
}

// command is what a server is asked to do.
type command struct {
	status, sleepMs, lingerMs, responseSize, responseCount uint32
	responseHeaders, responseTrailers, flags               uint32
	message                                                string
}

func parseCommand(data []byte) command {
	if len(data) < headSize {
		return command{}
	}
	at := func(field int) uint32 { return binary.BigEndian.Uint32(data[4*field:]) }
	c := command{at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), ""}
	if end := headSize + int(at(8)); end <= len(data) {
		c.message = string(data[headSize:end])
	}
	if int(c.status) >= len(statuses) || max(c.sleepMs, c.lingerMs) > maxPauseMs || c.responseSize > maxMessage ||
		c.responseCount > maxMessages || max(c.responseHeaders, c.responseTrailers) > maxMetadata {
		return command{status: 3, message: "command out of bounds"}
	}
	return c
}

func (c command) headersFirst() bool { return c.status == 0 || c.flags&1 != 0 }

// raw passes messages as they are. It takes the name of the default codec, so that the content type is the usual one.
type raw struct{}

func init() { encoding.RegisterCodecV2(raw{}) }

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
