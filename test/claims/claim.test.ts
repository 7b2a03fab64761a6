import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { hold, look, take, tryTake } from '../../src/claims/claim.mjs';
import { checkout } from '../setup/checkout.ts';
import { inPidNamespace } from '../setup/pid-namespace.ts';
import { seeded } from '../setup/seeded.ts';

const program = path.join(checkout, 'test', 'claims', 'claimer.mjs');
let root = '';
let folder = '';
let children: ChildProcess[] = [];
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'claims-'));
  folder = path.join(root, 'claim');
});
afterEach(async () => {
  await Promise.all(children.map(kill));
  children = [];
  rmSync(root, { recursive: true });
});

function start(args: string[], { apart = false, environment = {} as NodeJS.ProcessEnv } = {}): ChildProcess {
  const [file, ...first] = apart ? [...inPidNamespace, process.execPath] : [process.execPath];
  const env = { ...process.env, ...environment };
  const child = spawn(file!, [...first, program, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const firstLine = async (child: ChildProcess): Promise<string> =>
  String((await once(createInterface({ input: child.stdout! }), 'line'))[0]);

async function holder(deed: string, options = {}): Promise<ChildProcess> {
  const child = start([deed, folder], options);
  expect(await firstLine(child)).toMatch(/^ready/);
  return child;
}

test('one process holds a claim at a time, and the next gets it as soon as it is released', async () => {
  const first = await take(folder);
  expect(await tryTake(folder)).toBeNull();
  let waits = 0;
  const second = take(folder, { onWait: () => (waits += 1) });
  await vi.waitFor(() => expect(waits).toBe(1));
  first.release();
  (await second).release();
  expect(readdirSync(root)).toEqual([]);
});

test('a wait for a claim can be aborted, and leaves nothing behind', async () => {
  const claim = await take(folder);
  const stop = new AbortController();
  const waiting = take(folder, { signal: stop.signal, onWait: () => stop.abort(new Error('enough')) });
  await expect(waiting).rejects.toThrow('enough');
  expect(readdirSync(root)).toEqual(['claim']);
  claim.release();
});

test('the claim of a killed process is free at once, also while a child of that process lives', async () => {
  const child = start(['parent', folder]);
  const orphan = Number((await firstLine(child)).split(' ')[1]);
  try {
    expect(await look(folder)).toBe('held');
    await kill(child);
    expect(await look(folder)).toBe('dead');
    (await take(folder)).release();
  } finally {
    process.kill(orphan, 'SIGKILL');
  }
});

test('a process that waits for a claim gets it as soon as the holder is killed', async () => {
  const child = await holder('take');
  const waiting = take(folder, { onWait: () => child.kill('SIGKILL') });
  (await waiting).release();
});

test('a suspended process keeps its claim', async () => {
  const child = await holder('take');
  child.kill('SIGSTOP');
  expect(await tryTake(folder)).toBeNull();
  expect(await look(folder)).toBe('held');
});

test.runIf(process.platform === 'linux')(
  'a holder in another pid namespace is seen alive, and dead after its end',
  async () => {
    const apart = await holder('take', { apart: true });
    expect(await look(folder)).toBe('held');
    expect(await tryTake(folder)).toBeNull();
    await kill(apart);
    await vi.waitFor(async () => expect(await look(folder)).toBe('dead'), { timeout: 10_000 });
    const mine = await take(folder);
    expect(await firstLine(start(['look', folder], { apart: true }))).toBe('held');
    mine.release();
  },
);

test('leftovers of a power failure or of other programs in place of a claim block no process', async () => {
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'owner'), '');
  expect(await look(folder)).toBe('dead');
  (await take(folder)).release();
  writeFileSync(folder, '');
  (await take(folder)).release();
  mkdirSync(`${folder}.new-0123456789abcdef`);
  writeFileSync(path.join(`${folder}.new-0123456789abcdef`, '0123456789abcdef.new'), '');
  (await take(folder)).release();
  expect(readdirSync(root)).toEqual([]);
});

test('the limit for the path of a socket is counted in bytes', async () => {
  folder = path.join(root, '漢'.repeat(30), '字'.repeat(30));
  mkdirSync(path.dirname(folder));
  const claim = await take(folder);
  expect(claim.folder).toBe(folder);
  expect(await firstLine(start(['look', folder]))).toBe('held');
  claim.release();
});

test('several processes hold a claim together, and it is dead when the last of them has ended', async () => {
  const [one, two] = [await holder('hold'), await holder('hold')];
  await kill(one);
  expect(await look(folder)).toBe('held');
  await kill(two);
  expect(await look(folder)).toBe('dead');
  // The next holder removes the sockets of the dead ones.
  const mine = await hold(folder);
  expect(readdirSync(folder)).toHaveLength(1);
  mine.release();
  expect(await look(folder)).toBe('none');
});

test.runIf(process.platform === 'linux')('claims work on a file system without sockets', async () => {
  const library = path.join(root, 'no-sockets.so');
  execFileSync('cc', [
    '-shared',
    '-fPIC',
    '-o',
    library,
    path.join(checkout, 'test', 'claims', 'no_sockets.c'),
    '-ldl',
  ]);
  const temporary = path.join(root, 'tmp');
  mkdirSync(temporary);
  const disk = path.join(root, 'disk');
  mkdirSync(disk);
  folder = path.join(disk, 'claim');
  const environment = { LD_PRELOAD: library, WITHOUT_SOCKETS: disk, TMPDIR: temporary };
  const child = await holder('take', { environment });
  expect(await firstLine(start(['look', folder], { environment }))).toBe('held');
  await kill(child);
  expect(await firstLine(start(['look', folder], { environment }))).toBe('dead');
  // Without sockets in the temporary directory either, the start continues without a claim.
  await holder('take', { environment: { ...environment, WITHOUT_SOCKETS: root } });
});

test('no two processes hold a claim at once, whichever of them is killed at whatever moment', {
  timeout: 60_000,
}, async () => {
  const log = path.join(root, 'log');
  writeFileSync(log, '');
  const random = seeded(15);
  let ids = 0;
  const one = (): ChildProcess => {
    ids += 1;
    return start(['race', folder, String(ids), log]);
  };
  const running = Array.from({ length: 5 }, one);
  const taken = (): string[] => readFileSync(log, 'utf8').split('\n').slice(0, -1);
  for (let kills = 0; kills < 15; kills += 1) {
    const before = taken().length;
    await vi.waitFor(() => expect(taken().length).toBeGreaterThan(before + 5), { timeout: 20_000, interval: 5 });
    const victim = Math.floor(random() * running.length);
    await kill(running[victim]!);
    running[victim] = one();
  }
  await Promise.all(running.map(kill));
  // No process enters between the entry and the exit of another one, unless that one was killed and never appears again.
  let inside: string | null = null;
  const gone = new Set<string>();
  for (const [what, id] of taken().map((line) => line.split(' ') as [string, string])) {
    expect(gone).not.toContain(id);
    if (what === 'out') expect(id).toBe(inside);
    else if (inside !== null) gone.add(inside);
    inside = what === 'in' ? id : null;
  }
  (await take(folder)).release();
  expect(readdirSync(root)).toEqual(['log']);
});
