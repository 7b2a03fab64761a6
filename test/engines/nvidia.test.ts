import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { resolvePaths } from '../../src/config/paths.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { EnvironmentId } from '../../src/engine-table.ts';
import { createEngines } from '../../src/engines/engines.ts';
import type { Engines } from '../../src/engines/types.ts';
import { createLog } from '../../src/log.ts';
import { checkout } from '../setup/checkout.ts';

/** A machine whose installer records the packages that it should install instead of downloading them. */
let home: string;
beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), 'asrpro-nvidia-'));
  const bin = path.join(home, 'bin');
  mkdirSync(bin);
  const described = JSON.stringify({ root: home, prefix: home, size: 7, packages: { ctranslate2: '4' } });
  writeFileSync(path.join(home, 'python'), `#!/bin/sh\necho "$@" >> '${home}/asked'\necho '${described}'\n`, {
    mode: 0o755,
  });
  for (const version of ['3.12', '3.11']) {
    const answer = `#!/bin/sh\necho ${path.join(bin, `python${version}`)}\necho ${version}.1\necho\n`;
    writeFileSync(path.join(bin, `python${version}`), answer, { mode: 0o755 });
  }
  const uv = [
    '#!/bin/sh',
    'for last in "$@"; do :; done',
    `case "$1" in venv) echo "$@" >> '${home}/made'; mkdir -p "$last/bin"; cp '${home}/python' "$last/bin/python";; esac`,
    `case "$1" in pip) basename "$last" >> '${home}/installed'; for n in 1 2; do echo " + $(basename "$last")==$n"; done;; esac`,
  ];
  writeFileSync(path.join(bin, 'uv'), uv.join('\n'), { mode: 0o755 });
});
afterEach(() => rmSync(home, { recursive: true }));

function machine(nvidia: boolean): Engines {
  return createEngines({
    config: configSchema.parse({}),
    paths: resolvePaths({ ASRPRO_HOME: home }),
    log: createLog({ level: 'silent', format: 'json' }),
    runtimeRoot: path.join(checkout, 'python-runtime'),
    environment: { PATH: `${path.join(home, 'bin')}:/usr/bin:/bin`, HOME: home },
    nvidia,
  });
}

/** Installs the engine and returns the names of the package lists that it installed. */
async function install(nvidia: boolean, id: EnvironmentId = 'core'): Promise<string[]> {
  const lists = path.join(home, 'installed');
  writeFileSync(lists, '');
  const engines = machine(nvidia);
  await engines.install(id);
  let done = 0;
  for await (const { error, packagesDone } of engines.watch(id)) {
    expect(error).toBeNull();
    expect(packagesDone).toBeGreaterThanOrEqual(done);
    done = packagesDone;
  }
  expect(await engines.status(id)).toMatchObject({ installed: true, incomplete: null, sizeBytes: 7 });
  return readFileSync(lists, 'utf8').split('\n').filter(Boolean);
}

test('without an NVIDIA driver no packages for it are installed', async () => {
  expect(await install(false)).toEqual(['core.txt']);
});

test('with a driver the packages that CTranslate2 needs on the GPU are installed too', async () => {
  expect(await install(true)).toEqual(['core.txt', 'core-cuda.txt']);
  // Both builds of onnxruntime install into the same folder, so only one may be installed.
  expect(readFileSync(path.join(home, 'asked'), 'utf8')).toMatch(/os\.remove[\s\S]* onnxruntime\n/);
});

test.each([
  [false, '3.11'],
  [true, '3.12'],
])(
  'NeMo with a driver: %s, is made with Python %s, for which there is a build of torch that fits',
  async (nvidia, version) => {
    await install(nvidia, 'nemo');
    expect(readFileSync(path.join(home, 'made'), 'utf8')).toContain(
      `--python ${path.join(home, 'bin', `python${version}`)} `,
    );
  },
);

test('an engine that is older than the driver keeps working, reports what it lacks, and gets it from one more setup', async () => {
  await install(false);
  const before = await machine(true).status('core');
  expect(before).toMatchObject({ installed: true, reason: null });
  expect(before.incomplete).toContain('asrpro setup core');
  expect(before.sizeBytes).toBeGreaterThan(1e9);
  expect(await install(true)).toEqual(['core.txt', 'core-cuda.txt']);
  expect(await install(true)).toEqual([]);
});
