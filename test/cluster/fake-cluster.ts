import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { environmentFolder, MARKER } from '../../src/engines/environment.ts';
import { readLock } from '../../src/engines/lock.ts';
import { checkout } from '../setup/checkout.ts';

/** Installs a fake engine environment `cluster`, whose Python is the fixture on-cluster.mjs, and a custom model. */
export function installFakeCluster(home: string): void {
  const lock = readLock(path.join(checkout, 'python-runtime'), 'cluster');
  const folder = environmentFolder(path.join(home, 'engines'), 'cluster', lock);
  const bin = path.join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const fixture = path.join(checkout, 'test', 'fixtures', 'workers', 'on-cluster.mjs');
  writeFileSync(path.join(bin, 'python'), `#!/bin/sh\nexec '${process.execPath}' '${fixture}' "$@"\n`);
  chmodSync(path.join(bin, 'python'), 0o755);
  writeFileSync(path.join(folder, 'pyvenv.cfg'), `home = ${bin}\nversion = 3.12.1\n`);
  const marker = { packages: { ray: '2.60.0' }, sizeBytes: 1, nvidia: false, libraryFolders: [] };
  writeFileSync(path.join(folder, MARKER), JSON.stringify(marker));
  const model = path.join(home, 'custom');
  mkdirSync(model);
  for (const name of ['model.bin', 'tokenizer.json', 'vocabulary.txt']) writeFileSync(path.join(model, name), '{}');
  writeFileSync(path.join(model, 'config.json'), JSON.stringify({ suppress_ids: [1], alignment_heads: [[1, 1]] }));
}

/** A TCP server in place of the head. */
export async function startHead(port = 0): Promise<{ port: number; stop(): Promise<void> }> {
  const server: Server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, stop: () => new Promise((resolve) => server.close(() => resolve())) };
}
