import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { temporaryHome } from '../setup/home.ts';
import { pythonWithTools } from '../setup/python-tools.ts';
import { mockGateway } from './mock-gateway.ts';

const here = (file: string): string => path.join(import.meta.dirname, file);

test('schemathesis finds no answer that /openapi.json does not describe', async () => {
  await using gateway = await mockGateway({ models: { default: 'mock-echo' } });
  const run = ['--seed', '7', '--max-examples', '20', '--request-timeout', '30', '--no-color'];
  const { exitCode, stdout } = await execa(
    await pythonWithTools(),
    [
      '-m',
      'schemathesis.cli',
      '--config-file',
      here('schemathesis.toml'),
      'run',
      ...run,
      `${gateway.url}/openapi.json`,
    ],
    // schemathesis writes its findings into the working directory.
    {
      env: { SCHEMATHESIS_HOOKS: here('schemathesis_checks.py') },
      cwd: temporaryHome(),
      reject: false,
      timeout: 150_000,
    },
  );
  expect(stdout).toContain('Tested: ');
  expect(exitCode, stdout).toBe(0);
});
