import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { pythonWorker } from '../../src/worker/python.ts';
import { checkout } from '../setup/checkout.ts';

test('the engine of a replica runs with the allocator and OpenMP settings of a local worker', () => {
  const source = path.join(checkout, 'python-runtime/src/asrpro_worker/cluster/engine_process.py');
  const replica = [...readFileSync(source, 'utf8').matchAll(/"([A-Z_]+)": "([\w.=]+)",$/gm)].map(([, name, value]) => [
    name,
    value,
  ]);
  const worker = Object.entries(pythonWorker('python', {}, checkout, {}).env ?? {});
  const settings = worker.filter(([name]) => /^(MALLOC|GOMP|GLIBC)_/.test(name));
  expect(settings.length).toBeGreaterThan(3);
  expect(Object.fromEntries(replica)).toEqual(Object.fromEntries(settings));
});
