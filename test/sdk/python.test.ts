import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { mockGateway } from '../http/mock-gateway.ts';
import { audio } from '../setup/checkout.ts';
import { pythonWith, pythonWithTools } from '../setup/python-tools.ts';

const script = path.join(import.meta.dirname, 'matrix.py');

test.each([
  ['latest', /^3\./, pythonWithTools],
  ['2.54', /^2\.54/, () => pythonWith('openai-2.txt')],
] as const)('105, 106: openai-python %s', async (_name, version, python) => {
  await using gateway = await mockGateway({ server: { maxUploadBytes: 2_000_000, apiKey: 'k' } });
  const { stdout } = await execa(await python(), [script, `${gateway.url}/v1`, audio('english/jfk.flac')]);
  expect(stdout).toMatch(version);
});
