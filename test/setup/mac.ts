import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';
import { pythonWithTools } from './python-tools.ts';

/**
 * Environment variables that make this machine look like a Mac with Apple silicon to the gateway and its workers: MLX
 * computes on the CPU and claims to be a GPU.
 *
 * @param broken the GPU fails with models of at least this width (channels of the first convolution).
 * @param folder for the stand-in of MLX. By default a folder that is removed after the test.
 */
export async function likeMac({
  broken = Number.POSITIVE_INFINITY,
  folder = folderOfTest(),
} = {}): Promise<Record<string, string>> {
  const real = await execa(await pythonWithTools(), ['-c', 'import mlx; print(mlx.__path__[0])']);
  mkdirSync(path.join(folder, 'mlx'), { recursive: true });
  writeFileSync(path.join(folder, 'mlx', '__init__.py'), standIn(real.stdout, broken));
  return { ASRPRO_TEST_MLX: folder };
}

function folderOfTest(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-mac-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function standIn(packages: string, broken: number): string {
  return `
__path__ = [${JSON.stringify(packages)}]
import numpy as np
from mlx import core
core.metal.is_available = lambda: True

# MLX for Linux has no fast library for products: with numpy, Whisper takes a tenth of the time.
def plain(x):
    return np.array(x.astype(core.float32))
def like(values, *arrays):
    dtypes = {array.dtype for array in arrays}
    return core.array(values).astype(dtypes.pop() if len(dtypes) == 1 else core.float32)
core.array.__matmul__ = lambda a, b: like(plain(a) @ plain(b), a, b)
def attend(query, key, value, *, scale, mask=None):
    scores = plain(query) @ plain(key).swapaxes(-1, -2) * scale + (0 if mask is None else plain(mask))
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return like(weights / weights.sum(-1, keepdims=True) @ plain(value), query)
core.fast.scaled_dot_product_attention = attend

_convolve = core.conv1d
def conv1d(x, weight, stride=1, padding=0, **options):
    if weight.shape[0] >= ${broken === Number.POSITIVE_INFINITY ? 'float("inf")' : broken}:
        raise RuntimeError("[METAL] Command buffer execution failed: Caused GPU Hang Error")
    if options:
        return _convolve(x, weight, stride=stride, padding=padding, **options)
    padded = np.pad(plain(x), ((0, 0), (padding, padding), (0, 0)))
    count = (padded.shape[1] - weight.shape[1]) // stride + 1
    windows = [padded[:, at : at + (count - 1) * stride + 1 : stride] for at in range(weight.shape[1])]
    return like(np.concatenate(windows, -1) @ plain(weight).reshape(weight.shape[0], -1).T, x, weight)
core.conv1d = conv1d
`;
}
