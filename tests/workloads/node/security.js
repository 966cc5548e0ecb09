// TLS, where a folder of certificates is given: ca.pem, server.pem and server.key.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');

const read = (folder, name) => fs.readFileSync(path.join(folder, name));

function serverCredentials(folder) {
  if (folder === '') return grpc.ServerCredentials.createInsecure();
  const pair = { private_key: read(folder, 'server.key'), cert_chain: read(folder, 'server.pem') };
  return grpc.ServerCredentials.createSsl(null, [pair], false);
}

function clientCredentials(folder) {
  if (folder === '') return grpc.credentials.createInsecure();
  return grpc.credentials.createSsl(read(folder, 'ca.pem'));
}

module.exports = { serverCredentials, clientCredentials };
