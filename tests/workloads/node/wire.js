// What every workload agrees on: methods, the command in the first message, filler. No server or client here.
'use strict';
const { Metadata } = require('@grpc/grpc-js');

const METHODS = {
  '/truth.v1.Truth/Echo': 'unary',
  '/truth.v1.Truth/Get': 'unary',
  '/truth.v1.Truth/Put': 'unary',
  '/truth.v1.Inventory/Reserve': 'unary',
  '/truth.v1.Truth/Download': 'server',
  '/truth.v1.Inventory/Watch': 'server',
  '/truth.v1.Truth/Upload': 'client',
  '/truth.v1.Truth/Chat': 'bidi',
};

const STATUSES = (
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED ' +
  'RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS ' +
  'UNAUTHENTICATED'
).split(' ');

// A whole HEADERS frame (END_STREAM, END_HEADERS, stream 1): an observer that loses its place counts it.
const FRAME = Buffer.from('0000050105000000018386844100', 'hex');
const HEAD = 36;
const MAX_MESSAGE = 16 << 20;
const MAX_METADATA = 64 << 10;
const MAX_PAUSE_MS = 120000;
const MAX_MESSAGES = 100000;
const METADATA_PART = 1000;
const filler = Buffer.alloc(MAX_MESSAGE, FRAME);

const FIELDS = [
  'status', 'sleep_ms', 'linger_ms', 'response_size', 'response_count', 'response_headers', 'response_trailers', 'flags',
];

const fill = (size) => filler.subarray(0, size);

// Metadata filler; `mark` makes it unique.
function metadata(size, mark = '') {
  const text = mark + 'abcdefghijklmnopqrstuvwxyz0123456789'.repeat(METADATA_PART / 36 + 1);
  const filled = new Metadata();
  for (let number = 0; number * METADATA_PART < size; number++) {
    filled.set(`x-truth-fill-${number}`, text.slice(0, Math.min(METADATA_PART, size - number * METADATA_PART)));
  }
  return filled;
}

// What a server is asked to do.
function parseCommand(data) {
  const command = { message: '' };
  FIELDS.forEach((name, index) => (command[name] = data.length >= HEAD ? data.readUInt32BE(4 * index) : 0));
  if (data.length >= HEAD) command.message = data.toString('utf8', HEAD, HEAD + data.readUInt32BE(32));
  const valid =
    command.status < STATUSES.length &&
    Math.max(command.sleep_ms, command.linger_ms) <= MAX_PAUSE_MS &&
    command.response_size <= MAX_MESSAGE &&
    command.response_count <= MAX_MESSAGES &&
    Math.max(command.response_headers, command.response_trailers) <= MAX_METADATA;
  if (!valid) Object.assign(command, { status: 3, flags: 0, message: 'command out of bounds' });
  command.headersFirst = command.status === 0 || (command.flags & 1) !== 0;
  return command;
}

// The first message of a call.
function request(step) {
  const values = FIELDS.map((name) => (name === 'flags' ? Number(step.headers_first) : step[name]));
  const message = Buffer.from(step.message);
  if (values.every((value) => value === 0) && message.length === 0 && step.request_size < HEAD) {
    return fill(step.request_size);
  }
  const head = Buffer.alloc(HEAD);
  [...values, message.length].forEach((value, index) => head.writeUInt32BE(value, 4 * index));
  const used = HEAD + message.length;
  return Buffer.concat([head, message, fill(Math.max(0, step.request_size - used))]);
}

module.exports = { METHODS, STATUSES, fill, metadata, parseCommand, request };
