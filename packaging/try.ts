/**
 * `node packaging/try.ts FILE` tests an executable on its own platform, as an app would use it: ready line, an upload, the
 * addon, the end of stdin. Throws at the first problem.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openAsBlob, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { root } from './places.ts';

const file = path.resolve(process.argv[2] ?? '');
const home = mkdtempSync(path.join(os.tmpdir(), 'asrpro versuch ü '));
const child = spawn(file, ['serve', '--mock', '--port', '0', '--watch-stdin'], {
  env: { ...process.env, ASRPRO_HOME: home },
  stdio: ['pipe', 'pipe', 'inherit'],
});
const exited = once(child, 'exit');
const began = performance.now();
try {
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), exited]);
  const ready = JSON.parse(String(line));
  assert.equal(ready.event, 'ready', line);
  console.error(`ready after ${Math.round(performance.now() - began)} ms`);

  const form = new FormData();
  form.append('file', await openAsBlob(path.join(root, 'test/audio/english/jfk.flac')), 'jfk.flac');
  const answer = await fetch(`${ready.url}/v1/audio/transcriptions`, { method: 'POST', body: form });
  assert.equal(answer.status, 200, await answer.text());

  const [unpacked] = readdirSync(path.join(home, 'program'));
  const { version } = createRequire(path.join(home, 'program', unpacked!, 'package.json'))('zeromq');
  console.error(`the addon of ZeroMQ ${version} loads`);

  child.stdin.end();
  const [code] = await exited;
  assert.equal(code, 0);
} finally {
  child.kill('SIGKILL');
  // Windows locks the addon's file until this process ends.
  if (process.platform !== 'win32') rmSync(home, { recursive: true, force: true });
}
