/**
 * Runs the project's checks, all of them or those named on the command line: `npm test`, `npm run lint`. A failed check
 * does not stop the others. Each check installs what it needs.
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
  // Ray supports clusters only on Linux.
  ...(process.platform === 'linux' && { 'python-cluster': () => pythonIn('cluster', 'tests/ray_engine') }),
  real: () => node('vitest/vitest.mjs', 'run', '--project', 'real'),
  clusters: () => node('vitest/vitest.mjs', 'run', '--project', 'clusters'),
  timed: () => node('vitest/vitest.mjs', 'run', '--project', 'timed'),
};

/**
 * Two lanes take the next entry when they are free. The checks of an entry run one after the other. The cheap checks come
 * first and then the longest, so that the lanes end at about the same time.
 */
const queue = [
  ['types', 'lint'],
  ['python-lint', 'python-types'],
  ['real'],
  // Two clusters at the same time: once a head did not start.
  ['python-cluster', 'clusters'],
  ['python'],
  ['quick'],
  ['python-nemo'],
];
const LANES = 2;

/** The limits of these tests do not hold on a busy machine, so they run last and alone. */
const alone = ['timed'];

/** Parallel lanes would mix their output, so a check in one of several lanes prints its output when it has ended. */
let output: { stdio: 'inherit' } | { stdin: 'ignore'; all: true };

async function show(program: string, args: readonly string[], cwd: string): Promise<void> {
  const run = await execa(program, args, { cwd, ...output, reject: false });
  if (run.all !== undefined) console.error(run.all);
  if (run.failed) throw new CheckFailed();
}

let tools: Promise<string> | undefined;

class CheckFailed extends Error {}

async function node(program: string, ...args: string[]): Promise<void> {
  await show(process.execPath, [path.join(packages, program), ...args], checkout);
}

async function python(module: string, ...args: string[]): Promise<void> {
  tools ??= installForTests().then(pythonWithTools);
  await show(await tools, ['-m', module, ...args], runtime);
}

/** Runs the tests of an engine in the environment of that engine. */
async function pythonIn(environment: 'nemo' | 'cluster', tests: string): Promise<void> {
  const { file, args } = await toolsIn(environment, 'pytest');
  // The packages there cause deprecation warnings in each other, which the project's settings would turn into errors.
  const settings = ['--quiet', '--override-ini', 'filterwarnings=default', '--disable-warnings'];
  await show(file, [...args, ...settings, tests], runtime);
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(checks);
const unknown = names.filter((name) => !(name in checks));
if (unknown.length > 0)
  throw new Error(`no such check: ${unknown.join(', ')}; there are ${Object.keys(checks).join(', ')}`);
const failed: string[] = [];
const waiting = queue.map(wanted).filter((entry) => entry.length > 0);
output = waiting.length > 1 ? { stdin: 'ignore', all: true } : { stdio: 'inherit' };
await Promise.all(Array.from({ length: LANES }, runLane));
output = { stdio: 'inherit' };
await runInTurn(wanted(alone));
console.error(failed.length === 0 ? `\nall ${names.length} checks passed` : `\nfailed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

function wanted(entry: readonly string[]): string[] {
  return entry.filter((name) => names.includes(name));
}

async function runLane(): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await runInTurn(next);
}

async function runInTurn(entry: readonly string[]): Promise<void> {
  for (const name of entry) {
    const began = performance.now();
    console.error(`\n=== ${name}`);
    const outcome = await checks[name]!().then(
      () => 'passed',
      (error: unknown) => {
        if (!(error instanceof CheckFailed)) throw error;
        failed.push(name);
        return 'failed';
      },
    );
    console.error(`=== ${name} ${outcome} in ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
}
