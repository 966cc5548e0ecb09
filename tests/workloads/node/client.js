// Client: runs plans, a chain of calls for each that may run at once.
'use strict';
const grpc = require('@grpc/grpc-js');
const { STATUSES, fill, metadata, request } = require('./wire');
const { Tally } = require('./tally');
const { clientCredentials } = require('./security');

const READY_TIMEOUT = 20000;
const MAX_CALLS = 1000000;
const MAX_CONNECTIONS = 20000;
const same = (data) => data;
const OPTIONS = {
  // One connection per client, and no hidden second attempt: it would be a call that the tally does not have.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc-node.max_session_memory': 1000,
};
const DEFAULTS = {
  method: '/truth.v1.Truth/Echo', kind: 'unary', count: 1, connections: 1, concurrency: 1, churn: false,
  request_size: 0, request_count: 1, deadline_ms: 0, cancel_after_ms: 0, cancel_after_first: false,
  metadata_size: 0, metadata_unique: false, status: 0, message: '', sleep_ms: 0, linger_ms: 0, response_size: 0,
  response_count: 0, response_headers: 0, response_trailers: 0, headers_first: false,
};
let marks = 0;

function open({ address, security }) {
  const client = new grpc.Client(address, security, OPTIONS);
  return new Promise((resolve, reject) =>
    client.waitForReady(Date.now() + READY_TIMEOUT, (error) => (error ? reject(error) : resolve(client))),
  );
}

class Step {
  constructor(values, tally) {
    Object.assign(this, DEFAULTS, values, { tally });
    if (this.count > MAX_CALLS || this.connections > MAX_CONNECTIONS) throw new Error('step out of bounds');
    if (this.kind === 'unary' || this.kind === 'server') this.request_count = 1;
    this.expect ??= STATUSES[this.status];
    this.first = request(this);
    this.answersEach = Math.max(1, this.response_count);
  }

  data(number) {
    return this.tally.request(this.method, number === 0 ? this.first : fill(this.request_size));
  }

  // How many response messages a complete call brings.
  answers() {
    const streaming = this.kind === 'server' || this.kind === 'bidi';
    if (this.status !== 0 && !(this.headers_first && streaming)) return 0;
    if (this.kind === 'server') return this.response_count;
    return this.kind === 'bidi' ? this.answersEach * this.request_count : 1;
  }

  check(got, detail, sizes) {
    if (this.expect !== '*' && this.expect !== got) this.tally.wrong(this.method, this.expect, got, detail);
    else if (this.expect !== '*' && got !== 'CANCELLED' && got === STATUSES[this.status]) {
      const right = sizes.length === this.answers() && sizes.every((size) => size === this.response_size);
      if (!right) this.tally.wrong(this.method, this.expect, 'WRONG_ANSWER', `${sizes.length} answers`);
    }
  }

  async call(client) {
    this.tally.started(this.method);
    const begun = process.hrtime.bigint();
    const sizes = [];
    const { code, details } = await this.make(client, sizes);
    const status = STATUSES[code] ?? 'UNKNOWN';
    this.tally.ended(this.method, status, Number(process.hrtime.bigint() - begun) / 1e9);
    this.check(status, details, sizes);
  }

  // Resolves to the status object that grpc-js ends the call with.
  make(client, sizes) {
    const mark = this.metadata_unique ? `${String(marks++).padStart(8, '0')}-` : '';
    const options = this.deadline_ms > 0 ? { deadline: Date.now() + this.deadline_ms } : {};
    const common = [this.method, same, same];
    const sent = [metadata(this.metadata_size, mark), options];
    const received = (data) => {
      sizes.push(data.length);
      this.tally.response(this.method, data);
    };
    const single = (error, data) => error ?? received(data);
    let call;
    if (this.kind === 'unary') call = client.makeUnaryRequest(...common, this.data(0), ...sent, single);
    else if (this.kind === 'client') call = client.makeClientStreamRequest(...common, ...sent, single);
    else if (this.kind === 'server') call = client.makeServerStreamRequest(...common, this.data(0), ...sent);
    else call = client.makeBidiStreamRequest(...common, ...sent);
    if (this.kind === 'client') this.upload(call);
    if (this.kind === 'server' || this.kind === 'bidi') this.converse(call, received, sizes);
    const timer = this.cancel_after_ms > 0 ? setTimeout(() => call.cancel(), this.cancel_after_ms) : undefined;
    return new Promise((resolve) => call.on('status', (status) => (clearTimeout(timer), resolve(status))));
  }

  async upload(call) {
    for (let number = 0; number < this.request_count; number++) {
      if (!call.write(this.data(number))) await new Promise((resolve) => call.once('drain', resolve));
    }
    call.end();
  }

  // Each request waits for the answers to the one before.
  converse(call, received, sizes) {
    let sent = 1;
    if (this.kind === 'bidi') call.write(this.data(0));
    const next = () => {
      if (this.kind !== 'bidi') return;
      if (sent < this.request_count) call.write(this.data(sent++));
      else call.end();
    };
    call.on('data', (data) => {
      received(data);
      if (this.cancel_after_first) call.cancel();
      else if (sizes.length % this.answersEach === 0) next();
    });
    // The same error comes with the status.
    call.on('error', () => {});
  }

  async run(server, pool) {
    while (!this.churn && pool.length < this.connections) pool.push(await open(server));
    let turns = 0;
    const worker = async (client) => {
      while (turns++ < this.count) {
        const used = this.churn ? await open(server) : client;
        await this.call(used);
        if (this.churn) used.close();
      }
    };
    const workers = [];
    for (let index = 0; index < this.connections; index++) {
      for (let at = 0; at < this.concurrency; at++) workers.push(worker(pool[index]));
    }
    await Promise.all(workers);
  }
}

async function run(address, options, lines) {
  const server = { address, security: clientCredentials(options.tls) };
  const pool = [];
  process.stdout.write('READY\n');
  for await (const line of lines) {
    if (line === 'quit') break;
    const tally = new Tally();
    for (const values of JSON.parse(line).steps) await new Step(values, tally).run(server, pool);
    tally.print();
  }
  for (const client of pool) client.close();
  process.exit(0);
}

module.exports = { run };
