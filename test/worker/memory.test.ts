import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { footprintOf, ownBytes } from '../../src/worker/memory.ts';

test('pages of the program and its libraries do not count as memory that an unload returns', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-memory-'));
  const program = path.join(folder, 'node');
  // No other process maps this copy of the file, so its pages are private and clean.
  copyFileSync(process.execPath, program);
  const child = spawn(program, ['-e', 'process.stdout.write("up"); setInterval(() => undefined, 1e6)']);
  try {
    await once(child.stdout, 'data');
    const rollup = readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8');
    const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)![1]) * 1024;
    expect(bytes('Private_Clean')).toBeGreaterThan(10e6);
    for (const counted of [footprintOf(child.pid!).bytes!, ownBytes(child.pid!)!]) {
      expect(counted).toBeGreaterThan(0.8 * bytes('Anonymous'));
      expect(counted).toBeLessThan(1.2 * bytes('Anonymous'));
    }
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
});
