import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { launch, Sidecar } from '../../src/client/index.ts';
import { temporaryHome } from '../setup/home.ts';

test.each([
  ['a page of a proxy', 502, '<html>Bad Gateway</html>'],
  ['a page with status 200', 200, '<html>Welcome</html>'],
  ['an error of another shape', 404, '{"detail":"Not Found"}'],
  ['no object', 500, 'null'],
])('an answer of another program is a SidecarError: %s', async (_title, status, body) => {
  const server = createServer((_request, response) => response.writeHead(status).end(body)).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sidecar = new Sidecar({
    ...{ url, pid: 0, version: '', instance: '', apiKey: null },
    ...{ exited: new Promise(() => undefined), end: () => undefined, kill: () => undefined },
  });
  await expect(sidecar.health()).rejects.toMatchObject({ name: 'SidecarError', code: 'unreachable', status });
});

test.each(['null', '{}', '{"event":"started"}'])('a program that prints %s is not asrpro', async (line) => {
  const binary = path.join(temporaryHome(), 'program');
  await writeFile(binary, `#!/bin/sh\necho '${line}'\n`, { mode: 0o755 });
  await expect(launch({ binary })).rejects.toMatchObject({ name: 'SidecarError', code: 'spawn_failed' });
});
