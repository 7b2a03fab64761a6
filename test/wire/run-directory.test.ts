import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRunDirectory, staleRunDirectories, sweepRunDirectories } from '../../src/wire/run-directory.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'asrpro-test-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const MODULE = new URL('../../src/wire/run-directory.ts', import.meta.url).href;

describe('the run directory', () => {
  it('is for its owner alone and leaves nothing behind', () => {
    const run = createRunDirectory(root);
    expect(statSync(run.path).mode & 0o777).toBe(0o700);
    expect(statSync(run.spool).mode & 0o777).toBe(0o700);
    run.remove();
    expect(readdirSync(root)).toEqual([]);
  });

  it('gives sockets a place where the path fits, however deep the data directory is', () => {
    const deep = path.join(root, 'a'.repeat(100));
    const run = createRunDirectory(deep);
    const address = run.socketAddress('worker-1-abcdef01.sock');
    expect(Buffer.byteLength(address)).toBeLessThanOrEqual(103);
    writeFileSync(address, '');
    run.remove();
    expect(existsSync(address)).toBe(false);
  });

  it('of a living gateway stays; of a killed one it is swept, with its sockets', async () => {
    const mine = createRunDirectory(root);
    const script = `const { createRunDirectory } = await import('${MODULE}');
      createRunDirectory(process.argv[1]); console.log('made'); setInterval(() => {}, 1000);`;
    const other = spawn(process.execPath, ['--input-type=module', '-e', script, root], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(other.stdout, 'data');
    expect(staleRunDirectories(root)).toEqual([]);
    other.kill('SIGKILL');
    await once(other, 'exit');
    expect(staleRunDirectories(root)).toHaveLength(1);
    expect(sweepRunDirectories(root)).toBe(1);
    expect(readdirSync(root)).toEqual([path.basename(mine.path)]);
    mine.remove();
  });

  it('of a process whose pid was given to another is swept', () => {
    mkdirSync(path.join(root, `${process.pid}-12345-0123456789ab`));
    expect(sweepRunDirectories(root)).toBe(1);
  });

  it('sweeps nothing that is not a run directory', () => {
    mkdirSync(path.join(root, 'precious'));
    expect(sweepRunDirectories(root)).toBe(0);
    expect(readdirSync(root)).toEqual(['precious']);
  });
});
