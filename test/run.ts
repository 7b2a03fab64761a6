/**
 * Runs the project's checks, all or those that are named: `npm test`, `npm run lint`. Every one runs even if an earlier
 * one failed. Each installs what it needs.
 */
import path from 'node:path';
import { execa } from 'execa';
import { checkout } from './setup/checkout.ts';
import { pythonWithTools, toolsIn } from './setup/python-tools.ts';
import { installForTests } from './setup/shared-home.ts';

const packages = path.join(checkout, 'node_modules');
const runtime = path.join(checkout, 'python-runtime');

const checks: Record<string, () => Promise<void>> = {
  types: () => node('typescript/bin/tsc'),
  lint: () => node('@biomejs/biome/bin/biome', 'check', '--error-on-warnings'),
  quick: () => node('vitest/vitest.mjs', 'run', '--project', 'quick'),
  'python-lint': async () => {
    await python('ruff', 'check');
    await python('ruff', 'format', '--check');
  },
  'python-types': () => python('mypy'),
  python: () => python('pytest', '--quiet'),
  'python-nemo': () => pythonIn('nemo', 'tests/nemo_engine'),
  // Ray has no clusters elsewhere.
  ...(process.platform === 'linux' && { 'python-cluster': () => pythonIn('cluster', 'tests/ray_engine') }),
  real: () => node('vitest/vitest.mjs', 'run', '--project', 'real'),
};

async function node(program: string, ...args: string[]): Promise<void> {
  await execa(process.execPath, [path.join(packages, program), ...args], { cwd: checkout, stdio: 'inherit' });
}

async function python(module: string, ...args: string[]): Promise<void> {
  await installForTests();
  await execa(await pythonWithTools(), ['-m', module, ...args], { cwd: runtime, stdio: 'inherit' });
}

/** Tests of an engine, in its environment. */
async function pythonIn(environment: 'nemo' | 'cluster', tests: string): Promise<void> {
  const { file, args } = await toolsIn(environment, 'pytest');
  // Its packages warn of their own use of each other.
  const settings = ['--quiet', '--override-ini', 'filterwarnings=default', '--disable-warnings'];
  await execa(file, [...args, ...settings, tests], { cwd: runtime, stdio: 'inherit' });
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(checks);
const failed: string[] = [];
for (const name of names) {
  console.error(`\n=== ${name}`);
  await checks[name]!().catch((error: Error) => {
    if (error.name !== 'ExecaError') throw error;
    failed.push(name);
  });
}
console.error(failed.length === 0 ? `\nall ${names.length} checks passed` : `\nfailed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
