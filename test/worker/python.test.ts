import path from 'node:path';
import { expect, test } from 'vitest';
import { pythonWorker } from '../../src/worker/python.ts';

test("the worker gets the user's environment without the settings of the user's Python", () => {
  const user = { PATH: '/bin', CUDA_VISIBLE_DEVICES: '1', PYTHONHOME: '/x', PYTHONPATH: '/x', PYTHONWARNINGS: 'error' };
  const bundle = { APPDIR: '/tmp/.mount_App', LD_LIBRARY_PATH: '/tmp/.mount_App/usr/lib' };
  const engine = { LD_LIBRARY_PATH: `/engine/cublas:${bundle.LD_LIBRARY_PATH}` };
  const { env } = pythonWorker('/engine/bin/python', engine, '/runtime', { ...user, ...bundle });
  expect(env).toMatchObject({ PATH: '/bin', CUDA_VISIBLE_DEVICES: '1', LD_LIBRARY_PATH: '/engine/cublas' });
  expect(env.PYTHONPATH).toBe(path.join('/runtime', 'src'));
  expect(env).not.toHaveProperty('PYTHONHOME');
  expect(env).not.toHaveProperty('PYTHONWARNINGS');
});
