import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { hold, take } from '../../src/claims/claim.mjs';
import { resolvePaths } from '../../src/config/paths.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createEngines } from '../../src/engines/engines.ts';
import { environmentFolder } from '../../src/engines/environment.ts';
import { readLock } from '../../src/engines/lock.ts';
import type { Engines } from '../../src/engines/types.ts';
import { createLog } from '../../src/log.ts';
import { checkout } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';

/** A machine with a `uv` that creates an environment of one file, if wanted slowly. */
let home: string;
let folder: string;
const runtimeRoot = path.join(checkout, 'python-runtime');
const MONTH_MS = 31 * 24 * 3600 * 1000;

beforeEach(() => {
  home = temporaryHome();
  folder = environmentFolder(path.join(home, 'engines'), 'core', readLock(runtimeRoot, 'core'));
  const described = JSON.stringify({ root: home, prefix: home, size: 7, packages: { ctranslate2: '4' } });
  writeFileSync(path.join(home, 'python3.12'), `#!/bin/sh\necho '${described}'\n`, { mode: 0o755 });
  const uv = [
    '#!/bin/sh',
    'for last in "$@"; do :; done',
    `[ "$1" = venv ] && mkdir -p "$last/bin" && ln -s '${home}/python3.12' "$last/bin/python"`,
    `[ "$1" = venv ] && printf 'home = ${home}\\nversion_info = 3.12.1\\n' > "$last/pyvenv.cfg"`,
    `[ "$1" = pip ] && echo >> '${home}/installed'`,
    `[ "$1" = pip ] && [ -e '${home}/slow' ] && { echo > '${home}/began'; trap '' TERM; sleep 600; }`,
    'exit 0',
  ];
  mkdirSync(path.join(home, 'bin'));
  writeFileSync(path.join(home, 'bin', 'uv'), uv.join('\n'), { mode: 0o755 });
});

function program(): Engines {
  const engines = createEngines({
    config: configSchema.parse({}),
    paths: resolvePaths({ ASRPRO_HOME: home }),
    log: createLog({ level: 'silent', format: 'json' }),
    environment: { PATH: `${path.join(home, 'bin')}:/usr/bin:/bin`, HOME: home },
    ...{ runtimeRoot, nvidia: false },
  });
  onTestFinished(() => engines.close());
  return engines;
}

async function installed(engines: Engines, options = {}): Promise<void> {
  await engines.install('core', options);
  for await (const { error } of engines.watch('core')) expect(error).toBeNull();
}

const installations = () => readFileSync(path.join(home, 'installed'), 'utf8').length;

test('an environment whose Python was removed is reported as broken, refused, and repaired by a plain setup', async () => {
  const engines = program();
  await installed(engines);
  expect((await engines.interpreter('core')).python).toBe(path.join(folder, 'bin', 'python'));
  rmSync(path.join(folder, 'bin', 'python'));
  symlinkSync('/nowhere/python3.12', path.join(folder, 'bin', 'python'));
  expect(await engines.status('core')).toMatchObject({
    ...{ installed: false, broken: true, python: null },
    reason: expect.stringContaining('asrpro setup core --reinstall'),
  });
  expect(await engines.installation('core')).toBeUndefined();
  await expect(engines.interpreter('core')).rejects.toMatchObject({ code: 'engine_broken' });
  await installed(engines);
  expect(await engines.status('core')).toMatchObject({ installed: true, broken: false, reason: null });
});

test('an environment whose link leads to another Python after a system upgrade is broken', async () => {
  const engines = program();
  await installed(engines);
  writeFileSync(path.join(home, 'python3.13'), '', { mode: 0o755 });
  rmSync(path.join(folder, 'bin', 'python'));
  symlinkSync(path.join(home, 'python3.13'), path.join(folder, 'bin', 'python'));
  await expect(engines.interpreter('core')).rejects.toMatchObject({ code: 'engine_broken' });
});

test('a reinstall keeps the old environment usable until the new one is complete, also for processes that hold it', async () => {
  const [engines, other] = [program(), program()];
  await installed(engines);
  await other.interpreter('core');
  expect((await engines.install('core')).status).toBe('installed');
  expect(installations()).toBe(1);
  writeFileSync(path.join(folder, 'damaged'), '');
  await installed(engines, { reinstall: true });
  expect(installations()).toBe(2);
  expect(existsSync(path.join(folder, 'damaged'))).toBe(false);
  expect(readdirSync(path.join(folder, '.in-use'))).toHaveLength(1);
  expect(readdirSync(path.join(home, 'engines'))).toEqual([path.basename(folder)]);
});

test('an installation keeps other versions that were used within a month, and removes leftovers of dead installers', async () => {
  const engines = path.join(home, 'engines');
  const names = ['1', '2', '3', '4', '5'].map((digit) => `core-${digit.repeat(16)}`);
  const [used, recent, unused, building, foreign] = [...names.slice(0, 3), `${names[3]}.building`, 'core-of-mine'];
  for (const name of [used, recent, unused, building, foreign])
    mkdirSync(path.join(engines, name!), { recursive: true });
  const claim = await hold(path.join(engines, used!, '.in-use'));
  onTestFinished(() => claim.release());
  const before = new Date(Date.now() - MONTH_MS);
  for (const name of [used, unused, foreign]) utimesSync(path.join(engines, name!), before, before);
  utimesSync(path.join(engines, used!, '.in-use'), before, before);
  await installed(program());
  expect(readdirSync(engines).sort()).toEqual([used, recent, foreign, path.basename(folder)].sort());
});

test('a setup that waits for another process reports it, and a cancel ends the wait without disturbing that process', async () => {
  mkdirSync(path.join(home, 'engines'));
  const other = await take(path.join(home, 'engines', 'core.claim'));
  const building = `${folder}.01234567.building`;
  mkdirSync(building);
  const [engines, closing] = [program(), program()];
  for (const one of [engines, closing]) {
    await one.install('core');
    await vi.waitFor(async () =>
      expect((await one.installation('core'))!.step).toContain('waiting for another asrpro'),
    );
  }
  expect(await engines.cancel('core')).toMatchObject({ status: 'cancelled', step: null, error: null });
  await closing.close();
  expect(existsSync(building)).toBe(true);
  other.release();
  await installed(engines);
});

test('an installation is cancelled although its installer ignores SIGTERM', async () => {
  writeFileSync(path.join(home, 'slow'), '');
  const engines = program();
  await engines.install('core');
  await vi.waitFor(() => expect(existsSync(path.join(home, 'began'))).toBe(true), { timeout: 10_000 });
  expect((await engines.cancel('core')).status).toBe('cancelled');
  rmSync(path.join(home, 'slow'));
  await installed(engines);
});

test('the next program takes over the claim of a program that was killed during an installation', async () => {
  mkdirSync(path.join(home, 'engines'));
  const claimer = path.join(checkout, 'test', 'claims', 'claimer.mjs');
  const child = spawn(process.execPath, [claimer, 'take', path.join(home, 'engines', 'core.claim')]);
  await once(child.stdout, 'data');
  const engines = program();
  await engines.install('core');
  await vi.waitFor(async () => expect((await engines.installation('core'))!.step).toContain('waiting'));
  child.kill('SIGKILL');
  await installed(engines);
});

test('a failed installation is no longer reported when another program has installed the engine', async () => {
  const [engines, other] = [program(), program()];
  await engines.install('core');
  await engines.cancel('core');
  expect(await engines.installation('core')).toMatchObject({ status: 'cancelled' });
  await installed(other);
  expect(await engines.installation('core')).toMatchObject({ status: 'installed', error: null });
});
