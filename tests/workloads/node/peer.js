// Node workload: grpc-js as server or client. The protocol is in ../README.md.
'use strict';
const readline = require('node:readline');
const { parseArgs } = require('node:util');

const text = (value) => ({ type: 'string', default: value });
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    host: text('127.0.0.1'), port: text('0'), 'max-age-ms': text('0'), 'keepalive-ms': text('0'),
    'max-streams': text('0'), 'limit-s': text('300'), tls: text(''),
  },
});
for (const name of Object.keys(values)) if (name !== 'host' && name !== 'tls') values[name] = Number(values[name]);

setTimeout(() => process.exit(3), values['limit-s'] * 1000).unref();
process.on('SIGUSR2', () => {});
process.on('unhandledRejection', (error) => {
  console.error(error);
  process.exit(1);
});
const lines = readline.createInterface({ input: process.stdin });
if (positionals[0] === 'server') require('./server').run(values, lines);
else if (positionals[0] === 'client') require('./client').run(positionals[1], values, lines);
else throw new Error('usage: peer.js server|client …');
