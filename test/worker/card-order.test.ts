import { expect, test } from 'vitest';
import { cardOf } from '../../src/worker/card-order.ts';
import { pythonWorker } from '../../src/worker/python.ts';

test.each([
  ['cuda', undefined, '0'],
  ['cuda:1', undefined, '1'],
  ['cuda:0', '2,3', '2'],
  ['cuda:1', '2, 3', '3'],
  ['cuda:0', 'GPU-8932f937', 'GPU-8932f937'],
  ['cuda:1', '0', '1'],
])('%s where CUDA_VISIBLE_DEVICES is %s is card %s to nvidia-smi', (device, visible, card) => {
  expect(cardOf(device, { CUDA_VISIBLE_DEVICES: visible })).toBe(card);
});

test('the worker numbers cards as the device list does, whatever order the user has set', () => {
  const { env } = pythonWorker('python', {}, '/x', { CUDA_DEVICE_ORDER: 'FASTEST_FIRST' });
  expect(env.CUDA_DEVICE_ORDER).toBe('PCI_BUS_ID');
});
