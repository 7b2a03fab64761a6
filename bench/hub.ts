import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { REVISION, siblingsOf } from '../test/downloads/fault-hub.ts';
import { modelFiles } from '../test/downloads/model-files.ts';

/**
 * `node bench/hub.ts MODEL` serves the files of an installed model with the hub's protocol as fast as possible. It is a
 * separate process, so that a bench measures only the client. It prints its address.
 */
const files = modelFiles(process.argv[2]!);
const listing = Buffer.from(JSON.stringify({ sha: REVISION, siblings: siblingsOf(files) }));

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url!, 'http://localhost');
  const name = /\/resolve\/[^/]+\/(.+)$/.exec(pathname)?.[1];
  const body = name === undefined ? listing : files.get(name);
  if (body === undefined) response.writeHead(404).end();
  else response.writeHead(200, { 'content-length': body.length }).end(body);
});
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
