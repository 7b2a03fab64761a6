import {
  copyFileSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dist, LICENCES } from '../../packaging/places.ts';
import { executableName, hostTarget } from '../../packaging/targets.ts';
import { readInstalled } from '../../src/models/store.ts';
import { startFaultHub } from '../downloads/fault-hub.ts';
import { modelFiles } from '../downloads/model-files.ts';
import { call, transcribe, wordsOf } from '../setup/api.ts';
import { buildOnce } from '../setup/build.ts';
import { audio, checkout, jfkWords } from '../setup/checkout.ts';
import { createHome } from '../setup/create-home.ts';
import { startGateway } from '../setup/gateway.ts';
import { temporaryHome } from '../setup/home.ts';

const jfk = audio('english/jfk.flac');
const sample = 'test/audio/english/jfk.flac';
const model = 'whisper-tiny.en';

const built = path.join(dist, executableName(hostTarget()));

/** Where the package is installed as by a user: packed, into an empty folder, without development dependencies. */
const folder = createHome(false);

beforeAll(async () => {
  await buildOnce();
  await execa('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: checkout });
  const [tarball] = globSync('*.tgz', { cwd: folder });
  await execa('npm', ['install', '--no-audit', '--no-fund', `./${tarball}`], { cwd: folder });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the npm package serves and transcribes', async () => {
  const program = path.join(folder, 'node_modules', 'asrpro', 'dist', 'asrpro.cjs');
  expect((await execa('npx', ['asrpro', '--version'], { cwd: folder })).stdout).toMatch(/^\d+\.\d+\.\d+$/);

  const mock = await startGateway({ command: [process.execPath, program, 'serve'], mock: true });
  expect((await transcribe(mock.url, jfk)).status).toBe(200);
  expect((await call(mock.url, '/docs')).status).toBe(200);
  await mock.stop();

  const real = await startGateway({ command: [process.execPath, program, 'serve'] });
  const shipped = path.join(folder, 'node_modules', 'asrpro', sample);
  expect(wordsOf((await transcribe(real.url, shipped, { model })).json.text)).toBe(jfkWords);
});

test('the npm package names the licence of everything that is bundled into it', () => {
  const shipped = path.join(folder, 'node_modules', 'asrpro');
  expect(readFileSync(path.join(shipped, 'LICENSE'), 'utf8')).toContain('MIT License');
  const licences = readFileSync(path.join(shipped, 'dist', LICENCES), 'utf8');
  for (const name of ['fastify', 'pino', 'zod', 'got', '@msgpack/msgpack']) expect(licences).toMatch(`\n${name} `);
  expect(licences, 'is installed as a package of its own').not.toMatch(/^zeromq /m);
});

test('the npm package brings the launcher library, with its types', async () => {
  const app = path.join(folder, 'app.mts');
  writeFileSync(
    app,
    `import { launch, SidecarError, type Download } from 'asrpro/client';
     const sidecar = await launch({ mock: true, home: ${JSON.stringify(temporaryHome())} });
     const states: Download['status'][] = [];
     for await (const { status } of sidecar.download('mock-download')) states.push(status);
     const failed = await sidecar.load('none').catch((error: unknown) => error);
     console.log(states.at(-1), failed instanceof SidecarError, (await sidecar.stop()).reason);`,
  );
  const { stdout } = await execa(process.execPath, [app], { cwd: folder });
  expect(stdout).toBe('installed true stopped');
  const tsc = path.join(checkout, 'node_modules', 'typescript', 'bin', 'tsc');
  const types = ['--types', 'node', '--typeRoots', path.join(checkout, 'node_modules', '@types')];
  const options = ['--ignoreConfig', '--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', ...types];
  expect((await execa(process.execPath, [tsc, ...options, app], { cwd: folder, reject: false })).stdout).toBe('');
});

test('the executable runs alone in a folder, with an empty PATH', async () => {
  const alone = temporaryHome();
  const binary = path.join(alone, 'asrpro');
  copyFileSync(built, binary);
  const environment = { PATH: '' };

  const home = temporaryHome();
  const program = path.join(home, 'program');
  for (const [version, days] of Object.entries({ 'long-unused': 40, another: 20 })) {
    const folder = path.join(program, version);
    mkdirSync(folder, { recursive: true });
    const then = new Date(Date.now() - days * 24 * 3600 * 1000);
    utimesSync(folder, then, then);
  }
  const mock = await startGateway({ command: [binary, 'serve'], mock: true, home, environment });
  expect((await transcribe(mock.url, jfk)).status).toBe(200);
  expect((await call(mock.url, '/docs')).status).toBe(200);
  await mock.stop();
  expect(readdirSync(alone)).toEqual(['asrpro']);
  const unpacked = readdirSync(program);
  expect(unpacked).toHaveLength(2);
  expect(unpacked).toContain('another');

  const real = await startGateway({ command: [binary, 'serve'], environment });
  expect(wordsOf((await transcribe(real.url, jfk, { model })).json.text)).toBe(jfkWords);
});

test('the executable fetches a model from the hub', async () => {
  await using hub = await startFaultHub(modelFiles(model));
  const home = temporaryHome();
  const variables = { ASRPRO_HOME: home, ASRPRO_DOWNLOAD_ENDPOINT: hub.url, ASRPRO_DOWNLOAD_MIRRORS: 'false' };
  await execa(built, ['pull', model], { env: variables });
  expect(readInstalled(path.join(home, 'models'), model)).toMatchObject({ source: 'hub' });
});

test('`npx asrpro` in a clone transcribes', async () => {
  const environment = { ASRPRO_HOME: temporaryHome({ installed: true }) };
  const said = await execa('npx', ['asrpro', 'transcribe', '--model', model, sample], {
    cwd: checkout,
    env: environment,
  });
  expect(wordsOf(said.stdout)).toBe(jfkWords);
});
