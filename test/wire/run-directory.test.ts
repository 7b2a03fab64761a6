import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRunDirectory, staleRunDirectories, sweepRunDirectories } from '../../src/wire/run-directory.ts';
import { inPidNamespace } from '../setup/pid-namespace.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'asrpro-test-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const MODULE = new URL('../../src/wire/run-directory.ts', import.meta.url).href;

describe('the run directory', () => {
  it('is readable only by its owner, and is removed at the end', async () => {
    const run = createRunDirectory(root);
    await run.claimed;
    expect(statSync(run.path).mode & 0o777).toBe(0o700);
    expect(statSync(run.spool).mode & 0o777).toBe(0o700);
    run.remove();
    expect(readdirSync(root)).toEqual([]);
  });

  it.each(['a'.repeat(100), '漢'.repeat(30)])(
    'places sockets where their path is short enough: below %s',
    async (name) => {
      const run = createRunDirectory(path.join(root, name));
      await run.claimed;
      const address = run.socketAddress('worker-1-abcdef01.sock');
      expect(Buffer.byteLength(address)).toBeLessThanOrEqual(103);
      writeFileSync(address, '');
      run.remove();
      expect(existsSync(address)).toBe(false);
    },
  );

  it.each(['too long for a socket', 'missing'])('places sockets in /tmp when TMPDIR is %s too', async (kind) => {
    const before = process.env.TMPDIR;
    const folder = path.join(root, 't'.repeat(100));
    process.env.TMPDIR = folder;
    try {
      if (kind !== 'missing') mkdirSync(folder);
      const run = createRunDirectory(path.join(root, 'r'.repeat(100)));
      await run.claimed;
      const address = run.socketAddress('worker-1-abcdef01.sock');
      expect(address).toMatch(/^\/tmp\/asrpro-/);
      writeFileSync(address, '');
      run.remove();
      expect(existsSync(path.dirname(address))).toBe(false);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });

  it('of a living gateway is kept, and that of a killed one is removed with its sockets', async () => {
    const mine = createRunDirectory(root);
    await mine.claimed;
    const other = await another();
    expect(await staleRunDirectories(root)).toEqual([]);
    await kill(other);
    expect(await staleRunDirectories(root)).toHaveLength(1);
    expect(await sweepRunDirectories(root)).toBe(1);
    expect(readdirSync(root)).toEqual([path.basename(mine.path)]);
    mine.remove();
  });

  it.runIf(process.platform === 'linux')('of a gateway in another pid namespace stays while it lives', async () => {
    const other = await another(inPidNamespace);
    expect(await sweepRunDirectories(root)).toBe(0);
    await kill(other);
    await vi.waitFor(async () => expect(await sweepRunDirectories(root)).toBe(1), { timeout: 10_000 });
  });

  it('of an old version with the pid in its name is removed only after a restart of the machine', async () => {
    for (const name of [`${process.pid}-1-0123456789ab`, '1-1-0123456789ab']) {
      mkdirSync(path.join(root, name), { mode: 0o700 });
    }
    expect(await sweepRunDirectories(root)).toBe(0);
    const yearAgo = new Date(Date.now() - 365 * 24 * 3600 * 1000);
    utimesSync(path.join(root, '1-1-0123456789ab'), yearAgo, yearAgo);
    expect(await sweepRunDirectories(root)).toBe(1);
    expect(readdirSync(root)).toEqual([`${process.pid}-1-0123456789ab`]);
  });

  it('removes only run directories, and ignores all other entries', async () => {
    const name = (digit: string): string => path.join(root, digit.repeat(16));
    mkdirSync(path.join(root, 'precious'));
    mkdirSync(name('1'), { mode: 0o700 });
    symlinkSync(path.join(root, 'nowhere'), name('2'));
    symlinkSync(path.join(root, 'precious'), name('3'));
    writeFileSync(name('4'), '');
    // Another process is just creating this one.
    mkdirSync(name('5'), { mode: 0o700 });
    expect(await sweepRunDirectories(root)).toBe(0);
    expect(readdirSync(root)).toHaveLength(6);
  });

  it.runIf(process.getuid?.() === 0)('of another user is left alone', async () => {
    const foreign = path.join(os.tmpdir(), `asrpro-${'f'.repeat(16)}`);
    mkdirSync(path.join(foreign, '.alive'), { recursive: true, mode: 0o700 });
    writeFileSync(path.join(foreign, '.alive', '0'.repeat(16)), '');
    chownSync(foreign, 12_345, 12_345);
    try {
      await sweepRunDirectories(root);
      expect(existsSync(foreign)).toBe(true);
      chownSync(foreign, 0, 0);
      await sweepRunDirectories(root);
      expect(existsSync(foreign)).toBe(false);
    } finally {
      rmSync(foreign, { recursive: true, force: true });
    }
  });
});

/** Starts a process with its own run directory. */
async function another(command: readonly string[] = []): Promise<ChildProcess> {
  const script = `const { createRunDirectory } = await import('${MODULE}');
    await createRunDirectory(process.argv[1]).claimed; console.log('made'); setInterval(() => {}, 1000);`;
  const [file, ...args] = [...command, process.execPath, '--input-type=module', '-e', script, root];
  const child = spawn(file!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}
