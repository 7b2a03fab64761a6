import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, test } from 'vitest';
import { executableName, hostTarget } from '../../packaging/targets.ts';
import { wordsOf } from '../setup/api.ts';
import { buildOnce } from '../setup/build.ts';
import { audio, checkout, jfkWords } from '../setup/checkout.ts';
import { startGateway } from '../setup/gateway.ts';
import { temporaryHome } from '../setup/home.ts';

const jfk = audio('english/jfk.flac');
const example = (file: string): string => path.join(checkout, 'examples', file);
const program = path.join(checkout, 'dist', 'asrpro.cjs');

// The examples import `asrpro/client`, which is a file of dist/.
beforeAll(buildOnce);

test('node: the example installs missing parts with progress, and transcribes', async () => {
  const run = (...args: string[]) => execa(process.execPath, [example('node/app.mjs'), jfk, ...args], { env });
  const env: NodeJS.ProcessEnv = { ASRPRO_HOME: temporaryHome() };
  const mock = await run('--mock');
  expect(mock.stdout).toContain('This is a mock transcript');
  expect(mock.stderr).toMatch(/model: downloading \d+ of \d+ bytes(.|\n)*model: installed(.|\n)*asrpro was stopped/);
  env.ASRPRO_HOME = temporaryHome({ installed: true });
  expect(wordsOf((await run()).stdout)).toBe(jfkWords);
});

test('electron: the main process serves its window and stops its sidecar', async () => {
  const app = temporaryHome();
  cpSync(example('electron'), app, { recursive: true });
  mkdirSync(path.join(app, 'node_modules', 'electron'), { recursive: true });
  symlinkSync(checkout, path.join(app, 'node_modules', 'asrpro'), 'junction');
  const stub = path.join(app, 'node_modules', 'electron');
  copyFileSync(path.join(checkout, 'test', 'fixtures', 'electron', 'index.mjs'), path.join(stub, 'index.mjs'));
  writeFileSync(path.join(stub, 'package.json'), '{"name":"electron","exports":"./index.mjs"}');
  const { stdout } = await execa(process.execPath, [path.join(app, 'main.mjs')], {
    env: { APP_TEST: '1', APP_DATA: app, APP_AUDIO: jfk },
  });
  const sent = stdout.split('\n').map((line) => JSON.parse(line));
  const text = sent.findIndex((line) => line.text?.includes('mock transcript'));
  expect(sent.findIndex((line) => line['speech-state']?.ready)).toBeLessThan(text);
  expect(sent.slice(text + 1)).toEqual([{ 'speech-state': { failed: 'asrpro was stopped.' } }, { quit: true }]);
  expect(existsSync(path.join(app, 'asrpro'))).toBe(true);
});

test('python: the example works with a subprocess and the standard library', async () => {
  const home = temporaryHome();
  const binary = path.join(home, 'asrpro');
  writeFileSync(binary, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`, { mode: 0o755 });
  const { stdout } = await execa('python3', [example('python/app.py'), binary, jfk, '--mock'], {
    env: { ASRPRO_HOME: home },
  });
  expect(stdout).toContain('This is a mock transcript');
});

test('tauri: the configuration names the executable, and serve accepts its flags', async () => {
  const folder = example('tauri/src-tauri');
  const config = JSON.parse(readFileSync(path.join(folder, 'tauri.conf.json'), 'utf8'));
  const rust = readFileSync(path.join(folder, 'src', 'main.rs'), 'utf8');
  const [external] = config.bundle.externalBin;
  expect(rust).toContain(`.sidecar("${path.basename(external)}")`);
  const target = hostTarget();
  expect(executableName(target)).toMatch(new RegExp(`^${path.basename(external)}-${target.triple}(\\.exe)?$`));
  const [, args] = /\.args\((\[.*?\])\)/.exec(rust)!;
  const gateway = await startGateway({ command: [process.execPath, program, ...JSON.parse(args!)], mock: true });
  expect(gateway.ready.event).toBe('ready');
});
