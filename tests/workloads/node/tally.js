// Counts of what this program itself did and saw.
'use strict';
const { version } = require('@grpc/grpc-js/package.json');

const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

class Tally {
  constructor() {
    Object.assign(this, { peer: 'node', version: `grpc-js ${version}`, methods: {}, unexpected: [] });
  }

  of(method) {
    return (this.methods[method] ??= {
      started: 0, ended: {}, request_messages: 0, request_bytes: 0, response_messages: 0, response_bytes: 0,
      seconds: 0, buckets: new Array(BOUNDS.length + 1).fill(0),
    });
  }

  started(method) {
    this.of(method).started++;
  }

  request(method, data) {
    this.of(method).request_messages++;
    this.of(method).request_bytes += data.length;
    return data;
  }

  response(method, data) {
    this.of(method).response_messages++;
    this.of(method).response_bytes += data.length;
    return data;
  }

  ended(method, status, seconds) {
    const of = this.of(method);
    of.ended[status] = (of.ended[status] ?? 0) + 1;
    of.seconds += seconds;
    const bucket = BOUNDS.findIndex((bound) => seconds <= bound);
    of.buckets[bucket < 0 ? BOUNDS.length : bucket]++;
  }

  wrong(method, wanted, got, detail) {
    const same = this.unexpected.find((one) => one.method === method && one.wanted === wanted && one.got === got);
    if (same) same.count++;
    else this.unexpected.push({ method, wanted, got, count: 1, detail: String(detail).slice(0, 200) });
  }

  print() {
    process.stdout.write(JSON.stringify(this) + '\n');
  }
}

module.exports = { Tally };
