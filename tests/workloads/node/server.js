// Server: carries out the commands that requests bring.
'use strict';
const grpc = require('@grpc/grpc-js');
const { METHODS, STATUSES, fill, metadata, parseCommand } = require('./wire');
const { Tally } = require('./tally');
const { serverCredentials } = require('./security');

const same = (data) => data;
const tally = new Tally();

// One call: its pauses and its end in the tally.
class Call {
  constructor(method, deadline) {
    Object.assign(this, { method, deadline, begun: process.hrtime.bigint(), counted: false });
    this.over = new Promise((resolve) => (this.giveUp = resolve));
    tally.started(method);
  }

  abandoned() {
    this.count(Date.now() >= this.deadline ? 'DEADLINE_EXCEEDED' : 'CANCELLED');
    this.giveUp();
  }

  count(status) {
    if (!this.counted) tally.ended(this.method, status, Number(process.hrtime.bigint() - this.begun) / 1e9);
    this.counted = true;
  }

  async pause(ms) {
    if (!ms || this.counted) return;
    let timer;
    await Promise.race([this.over, new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
    clearTimeout(timer);
  }

  async begin(command) {
    await this.pause(command.sleep_ms);
    if (command.headersFirst && !this.counted) this.call.sendMetadata(metadata(command.response_headers));
  }

  // The end of a call in grpc-js' words, counted first: what a client has seen is always counted.
  end(command) {
    if (this.counted) return { error: { code: 1 } };
    this.count(STATUSES[command.status]);
    const trailers = metadata(command.response_trailers);
    if (command.status === 0) return { trailers };
    return { error: { code: command.status, details: command.message, metadata: trailers } };
  }

  async write(command, count) {
    for (; count > 0 && !this.counted; count--) {
      const room = this.call.write(tally.response(this.method, fill(command.response_size)));
      if (!room) await Promise.race([this.over, new Promise((resolve) => this.call.once('drain', resolve))]);
    }
  }

  async answerOnce(command, callback) {
    await this.begin(command);
    const fine = command.status === 0 && !this.counted;
    const answer = fine ? tally.response(this.method, fill(command.response_size)) : null;
    const { error, trailers } = this.end(command);
    callback(error ?? null, answer, trailers);
  }

  async endStream(command) {
    await this.pause(command.linger_ms);
    if (this.counted) return;
    const { error, trailers } = this.end(command);
    if (error) this.call.emit('error', error);
    else this.call.end(trailers);
  }
}

// Calls are begun here, before their first message: one that is given up until then never comes to its handler. The
// metadata object is what interceptor and handler both see.
const calls = new WeakMap();
function intercept(descriptor, call) {
  const ours = new Call(descriptor.path, +call.getDeadline());
  const listener = new grpc.ServerListenerBuilder()
    .withOnReceiveMetadata((received, next) => {
      calls.set(received, ours);
      next(received);
    })
    .withOnCancel(() => ours.abandoned())
    .build();
  return new grpc.ServerInterceptingCall(call, { start: (next) => next(listener) });
}

const accept = (call) => Object.assign(calls.get(call.metadata), { call });

const handlers = {
  unary: (method) => (call, callback) => {
    const ours = accept(call);
    return ours.answerOnce(parseCommand(tally.request(method, call.request)), callback);
  },
  client: (method) => (call, callback) => {
    const ours = accept(call);
    let first = null;
    call.on('data', (data) => {
      tally.request(method, data);
      first ??= data;
    });
    call.on('end', () => ours.answerOnce(parseCommand(first ?? fill(0)), callback));
  },
  server: (method) => async (call) => {
    const ours = accept(call);
    const command = parseCommand(tally.request(method, call.request));
    await ours.begin(command);
    if (command.headersFirst) await ours.write(command, command.response_count);
    await ours.endStream(command);
  },
  bidi: (method) => (call) => {
    const ours = accept(call);
    let command = null;
    // One after the other: the next request is answered when the answers to the one before are written.
    let turn = Promise.resolve();
    const answer = async (data) => {
      if (command === null) {
        command = parseCommand(data);
        await ours.begin(command);
        if (!command.headersFirst) await ours.endStream(command);
      }
      if (command.headersFirst) await ours.write(command, Math.max(1, command.response_count));
    };
    call.on('data', (data) => {
      tally.request(method, data);
      turn = turn.then(() => answer(data));
    });
    call.on('end', () => (turn = turn.then(() => ours.endStream(command ?? parseCommand(fill(0))))));
  },
};

function services() {
  const found = {};
  for (const [path, kind] of Object.entries(METHODS)) {
    const [, service, name] = path.split('/');
    found[service] ??= { definition: {}, implementation: {} };
    found[service].definition[name] = {
      path,
      requestStream: kind === 'client' || kind === 'bidi',
      responseStream: kind === 'server' || kind === 'bidi',
      requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
    };
    found[service].implementation[name] = handlers[kind](path);
  }
  return Object.values(found);
}

function channelOptions(options) {
  const chosen = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
  chosen['grpc-node.max_session_memory'] = 1000;
  if (options['max-age-ms'] > 0) {
    chosen['grpc.max_connection_age_ms'] = options['max-age-ms'];
    chosen['grpc.max_connection_age_grace_ms'] = 5000;
  }
  if (options['keepalive-ms'] > 0) chosen['grpc.keepalive_time_ms'] = options['keepalive-ms'];
  if (options['max-streams'] > 0) chosen['grpc.max_concurrent_streams'] = options['max-streams'];
  return chosen;
}

function run(options, lines) {
  const server = new grpc.Server({ ...channelOptions(options), interceptors: [intercept] });
  for (const { definition, implementation } of services()) server.addService(definition, implementation);
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  server.bindAsync(`${host}:${options.port}`, serverCredentials(options.tls), (error, port) => {
    if (error) throw error;
    process.stdout.write(`READY port=${port}\n`);
  });
  const finish = () => {
    const done = () => {
      tally.print();
      process.exit(0);
    };
    const force = setTimeout(() => (server.forceShutdown(), done()), 200);
    server.tryShutdown(() => (clearTimeout(force), done()));
  };
  process.on('SIGTERM', finish);
  lines.on('line', (line) => (line === 'stats' ? tally.print() : line === 'quit' && lines.close()));
  lines.on('close', finish);
}

module.exports = { run };
