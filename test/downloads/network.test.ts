import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { resolvePaths } from '../../src/config/paths.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createDownloads } from '../../src/downloads/downloads.ts';
import type { DownloadStatus } from '../../src/downloads/types.ts';
import { createLog } from '../../src/log.ts';
import type { Model } from '../../src/models/model.ts';
import { readInstalled } from '../../src/models/store.ts';
import { proxyFor } from '../../src/network/proxy.ts';
import { checkout, mainProgram } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { startFaultHub } from './fault-hub.ts';
import { startHttpProxy, startSocksProxy } from './proxies.ts';

const files = new Map([
  ['config.json', Buffer.from('{}')],
  ['model.bin', Buffer.alloc(100_000, 'weights')],
]);
const model = 'under-test';
const tls = (name: string): Buffer => readFileSync(path.join(checkout, 'test/fixtures/tls', name));
const authority = path.join(checkout, 'test/fixtures/tls/ca.pem');
const hubWith = (certificate: string) => startFaultHub(files, { key: tls('key.pem'), cert: tls(certificate) });

/** Runs one download from `url` to its end, with the proxies and certificates of the environment. */
async function states(url: string, environment: NodeJS.ProcessEnv = {}, home = temporaryHome()) {
  const paths = resolvePaths({ ASRPRO_HOME: home });
  const downloads = createDownloads({
    ...{ paths, environment, backoff: { tries: 3, firstMs: 1, longestMs: 2, stallMs: 5_000 } },
    config: configSchema.parse({
      models: { custom: [{ id: model, repo: 'org/name' }] },
      download: { endpoint: url },
    }),
    log: createLog({ level: 'silent', format: 'json' }),
    library: { find: async (id: string) => ({ id }) as Model } as never,
    pip: () => Promise.reject(new Error('no mirror here')),
  });
  const seen: DownloadStatus[] = [await downloads.start(model)];
  for await (const status of downloads.watch(model)) seen.push(status);
  const last = seen.at(-1)!;
  expect(readInstalled(path.join(home, 'models'), model) !== null, last.error?.message).toBe(
    last.status === 'installed',
  );
  return seen;
}

async function download(...args: Parameters<typeof states>): Promise<DownloadStatus> {
  return (await states(...args)).at(-1)!;
}

test.each(['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'])(
  '%s without a scheme is an HTTP proxy',
  async (name) => {
    await using hub = await hubWith('host.pem');
    await using proxy = await startHttpProxy();
    const last = await download(hub.url, { [name]: proxy.address, SSL_CERT_FILE: authority });
    expect(last).toMatchObject({ status: 'installed', error: null });
    expect(new Set(proxy.asked)).toEqual(new Set([new URL(hub.url).host]));
  },
);

test('a proxy gets the login in its address, and the error names a proxy whose address lacks one', async () => {
  await using hub = await hubWith('host.pem');
  await using proxy = await startHttpProxy({ login: 'me:p@ss' });
  const trusted = { SSL_CERT_FILE: authority };
  expect(await download(hub.url, { ...trusted, https_proxy: `me:p%40ss@${proxy.address}` })).toMatchObject({
    error: null,
  });
  const asked = proxy.asked.length;
  const { error } = await download(hub.url, { ...trusted, https_proxy: `http://${proxy.address}` });
  expect(error).toMatchObject({ code: 'proxy_failed', retryable: false });
  expect(error!.message).toMatch(new RegExp(`proxy ${proxy.address} asks for a user name and password.*USER:PASSWORD`));
  // A retry would give the same answer.
  expect(proxy.asked.length).toBe(asked + 1);
});

test('a password with a plain percent sign reaches the proxy', async () => {
  await using hub = await hubWith('host.pem');
  await using proxy = await startHttpProxy({ login: 'me:100%sure' });
  const environment = { SSL_CERT_FILE: authority, https_proxy: `http://me:100%sure@${proxy.address}` };
  expect(await download(hub.url, environment)).toMatchObject({ status: 'installed', error: null });
});

test('the error names a proxy that does not answer or cannot reach the hub', async () => {
  await using bad = await startHttpProxy({ status: 502 });
  const through = async (proxy: string) => (await download('https://hub.invalid', { https_proxy: proxy })).error!;
  expect((await through(bad.address)).message).toContain(`The proxy ${bad.address} answers with 502`);
  expect((await through('127.0.0.1:9')).message).toMatch(
    /The proxy 127.0.0.1:9 cannot be used: it refuses connections/,
  );
  expect((await through('socks5://127.0.0.1:9')).message).toMatch(/The proxy 127.0.0.1:9 .* refuses connections/);
  expect(await through('ftp://127.0.0.1:9')).toMatchObject({ code: 'proxy_failed' });
});

test.each(['socks5', 'socks5h', 'socks'])('%s:// proxies are used, and resolve the host names', async (scheme) => {
  await using hub = await startFaultHub(files);
  await using secure = await hubWith('host.pem');
  await using proxy = await startSocksProxy();
  const environment = { ALL_PROXY: `${scheme}://${proxy.address}`, SSL_CERT_FILE: authority };
  const { port } = new URL(hub.url);
  expect(await download(`http://hub.invalid:${port}`, environment)).toMatchObject({ error: null });
  expect(proxy.asked).toContain(`hub.invalid:${port}`);
  expect(await download(secure.url, environment)).toMatchObject({ error: null });
});

test.each([
  ['http://hub.example/x', { http_proxy: 'p:1', HTTP_PROXY: 'q:1' }, 'http://p:1/'],
  ['http://hub.example/x', { https_proxy: 'p:1' }, null],
  ['https://hub.example/x', { https_proxy: '', ALL_PROXY: 'http://p:1' }, 'http://p:1/'],
  ['https://hub.example/x', { https_proxy: 'https://u:w@p:1' }, 'https://u:w@p:1/'],
  ['https://hub.example/x', { https_proxy: 'p:1', no_proxy: '*' }, null],
  ['https://hub.example/x', { https_proxy: 'p:1', NO_PROXY: 'hub.example' }, null],
  ['https://a.hub.example/x', { https_proxy: 'p:1', NO_PROXY: 'other, hub.example' }, null],
  ['https://a.hub.example/x', { https_proxy: 'p:1', NO_PROXY: '.hub.example' }, null],
  ['https://a.hub.example/x', { https_proxy: 'p:1', NO_PROXY: '*.hub.example' }, null],
  ['https://ahub.example/x', { https_proxy: 'p:1', NO_PROXY: 'hub.example' }, 'http://p:1/'],
  ['https://HUB.example./x', { https_proxy: 'p:1', NO_PROXY: 'Hub.Example:443' }, null],
  ['https://hub.example:8443/x', { https_proxy: 'p:1', NO_PROXY: 'hub.example:443' }, 'http://p:1/'],
  ['https://[::1]:8443/x', { https_proxy: 'p:1', NO_PROXY: '::1' }, null],
  ['https://[::1]:8443/x', { https_proxy: 'p:1', NO_PROXY: '[::1]:8443' }, null],
  ['https://10.1.2.3/x', { https_proxy: 'p:1', NO_PROXY: '10.0.0.0/8' }, null],
  ['https://11.1.2.3/x', { https_proxy: 'p:1', NO_PROXY: '10.0.0.0/8,nonsense/99' }, 'http://p:1/'],
])('%s with %j goes through %s', (url, environment, proxy) => {
  expect(proxyFor(new URL(url), environment)?.href ?? null).toBe(proxy);
});

test.each(['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'])(
  'the authority in %s is trusted',
  async (name) => {
    await using hub = await hubWith('host.pem');
    expect(await download(hub.url, { [name]: authority })).toMatchObject({ status: 'installed', error: null });
  },
);

test('an authority in SSL_CERT_DIR is trusted, whatever other files are there', async () => {
  await using hub = await hubWith('host.pem');
  const home = temporaryHome();
  const folder = path.join(home, 'certificates');
  mkdirSync(path.join(folder, 'below'), { recursive: true });
  writeFileSync(path.join(folder, 'company.crt'), tls('ca.pem'));
  writeFileSync(
    path.join(folder, 'broken.pem'),
    '-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n',
  );
  expect(await download(hub.url, { SSL_CERT_DIR: `/nowhere:${folder}` }, home)).toMatchObject({ error: null });
});

test.each([
  ['host.pem', {}, /certificate.*(authority|issuer).*not trusted.*SSL_CERT_FILE/i],
  ['expired.pem', { SSL_CERT_FILE: authority }, /certificate.*expired.*date and time/i],
  ['other.pem', { SSL_CERT_FILE: authority }, /certificate.*another host/i],
])('the certificate %s is refused without a retry, with the reason', async (certificate, environment, words) => {
  await using hub = await hubWith(certificate);
  const { error } = await download(hub.url, environment);
  expect(error).toMatchObject({ code: 'hub_untrusted', retryable: false });
  expect(error!.message).toMatch(words);
  expect(error!.message).toContain(new URL(hub.url).host);
});

test('a public model is downloaded although the hub refuses the token', async () => {
  await using hub = await startFaultHub(files);
  hub.refusesTokens = true;
  expect(await download(hub.url, { HF_TOKEN: 'hf_of_yesterday' })).toMatchObject({ status: 'installed', error: null });
  // A refused token is not sent again.
  expect(hub.asked.filter(({ authorization }) => authorization !== undefined)).toHaveLength(1);
});

test('for a model that needs a token, the error names the source of the refused one', async () => {
  await using hub = await startFaultHub(files);
  hub.refusesTokens = true;
  const home = temporaryHome();
  writeFileSync(path.join(home, 'token'), 'hf_of_yesterday\n');
  const missing = { kind: 'status', status: 401 } as const;
  hub.faults.set('list', [missing]);
  const { error } = await download(hub.url, { HF_TOKEN_PATH: path.join(home, 'token') }, home);
  expect(error).toMatchObject({ code: 'hub_not_found' });
  expect(error!.message).toContain('refused the token in the file of HF_TOKEN_PATH');
  hub.faults.set('list', [{ ...missing, headers: { 'x-error-code': 'GatedRepo' } }]);
  const gated = (await download(hub.url, { HF_TOKEN: 'hf_of_yesterday' }, home)).error!;
  expect(gated.code).toBe('hub_gated');
  expect(gated.message).toMatch(/refused the token in HF_TOKEN/);
});

test('a redirect from https to http is refused, and the token is not sent there', async () => {
  await using secure = await hubWith('host.pem');
  await using plain = await startFaultHub(files);
  secure.faults.set('model.bin', [{ kind: 'redirect', to: plain.url }]);
  const { error } = await download(secure.url, { SSL_CERT_FILE: authority, HF_TOKEN: 'hf_secret' });
  expect(error!.message).toMatch(/from https to http/);
  expect(plain.asked).toEqual([]);
});

test('the token is sent only to its origin: another port of the same host is another origin', async () => {
  await using hub = await startFaultHub(files);
  await using other = await startFaultHub(files);
  for (const name of files.keys()) hub.faults.set(name, [{ kind: 'redirect', to: other.url }]);
  expect(await download(hub.url, { HF_TOKEN: 'hf_secret' })).toMatchObject({ error: null });
  expect(hub.asked.every(({ authorization }) => authorization === 'Bearer hf_secret')).toBe(true);
  expect(other.asked.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
});

test('an endpoint gets the login in its address instead of a token', async () => {
  await using hub = await startFaultHub(files);
  const url = hub.url.replace('://', '://me:secret@');
  expect(await download(url)).toMatchObject({ error: null });
  const login = `Basic ${Buffer.from('me:secret').toString('base64')}`;
  expect(new Set(hub.asked.map(({ authorization }) => authorization))).toEqual(new Set([login]));
});

test.each(['list', 'model.bin'])('the error says that a web page came in place of %s', async (name) => {
  await using hub = await startFaultHub(files);
  hub.faults.set(
    name,
    Array.from({ length: 9 }, () => ({ kind: 'web page' })),
  );
  const { error } = await download(hub.url);
  expect(error!.code).toBe('hub_unreachable');
  expect(error!.message).toMatch(/127.0.0.1:\d+ sent a web page .*sign-in/);
});

test.each([
  ['http://127.0.0.1:9', /refuses connections/],
  ['http://hub.invalid', /hub.invalid.*DNS/],
])('the error for %s says the cause', async (url, words) => {
  const { error } = await download(url);
  expect(error!.code).toBe('hub_unreachable');
  expect(error!.message).toMatch(words);
});

/** Obstacles in place of the models directory. */
const places: [string, (models: string, partial: string) => void, RegExp][] = [
  ['a file is the models folder', (models) => writeFileSync(models, ''), /models folder.*a file is where a folder/],
  [
    'a file is the folder of the model',
    (models) => {
      mkdirSync(models);
      writeFileSync(path.join(models, model), '');
    },
    /models folder.*(a file is where a folder|something else has that name)/,
  ],
  ['a folder is the partial file', (_, partial) => mkdirSync(partial, { recursive: true }), /a folder is where a file/],
  [
    'the partial file is a link to itself',
    (_, partial) => {
      mkdirSync(path.dirname(partial), { recursive: true });
      symlinkSync(path.basename(partial), partial);
    },
    /a link that leads to itself/,
  ],
  ['the models folder is a dangling link', (models) => symlinkSync('/proc/none/x', models), /models folder/],
];
test.each(places)('%s: an error of the disk, without a retry', async (_name, prepare, words) => {
  await using hub = await startFaultHub(files);
  const home = temporaryHome();
  const models = path.join(home, 'models');
  const { createHash } = process.getBuiltinModule('node:crypto');
  const hash = createHash('sha256').update(files.get('model.bin')!).digest('hex').slice(0, 12);
  prepare(models, path.join(models, model, `model.bin.${hash}.partial`));
  const { error } = await download(hub.url, {}, home);
  expect(error).toMatchObject({ code: 'folder_unusable', retryable: false });
  expect(error!.message).toMatch(words);
  expect(error!.message).toContain('`models.directory`');
  expect(error!.message).not.toMatch(/hub|network|proxy/i);
  expect(error!.message).not.toContain(home);
  expect(hub.asked.filter(({ file }) => file === 'model.bin')).toEqual([]);
});

test.each(['gzip', 'deflate', 'br'] as const)(
  'a list and a file that the hub compresses are read: %s',
  async (coding) => {
    await using hub = await startFaultHub(files);
    for (const name of ['list', 'model.bin']) hub.faults.set(name, [{ kind: 'gzip', coding }]);
    expect(await download(hub.url)).toMatchObject({ status: 'installed', error: null, restarts: 0 });
    expect(hub.asked.filter(({ file }) => file === 'model.bin')).toHaveLength(1);
  },
);

test('a server that sends the rest of a file in parts is asked for each of them, and nothing starts over', async () => {
  await using hub = await startFaultHub(files);
  hub.faults.set('model.bin', [
    { kind: 'cut', at: 40_000 },
    { kind: 'part', bytes: 20_000 },
    { kind: 'part', bytes: 30_000 },
  ]);
  expect(await download(hub.url)).toMatchObject({ status: 'installed', error: null, restarts: 0 });
  const starts = hub.asked.filter(({ file }) => file === 'model.bin').map(({ from }) => from);
  expect(starts).toEqual([0, 40_000, 60_000, 90_000]);
});

test('a server that sends another range than the requested one is asked for the whole file', async () => {
  await using hub = await startFaultHub(files);
  hub.faults.set('model.bin', [{ kind: 'cut', at: 40_000 }, { kind: 'other range' }]);
  expect(await download(hub.url)).toMatchObject({ status: 'installed', error: null });
  expect(hub.asked.filter(({ file }) => file === 'model.bin').map(({ from }) => from)).toEqual([0, 40_000, 0]);
});

test('a text of a proxy in place of the rest of a file does not cost what has arrived', async () => {
  await using hub = await startFaultHub(files);
  const blocked = { kind: 'status', status: 200, headers: { 'content-length': '2' } } as const;
  hub.faults.set('model.bin', [{ kind: 'cut', at: 40_000 }, blocked]);
  expect(await download(hub.url)).toMatchObject({ status: 'installed', error: null, restarts: 0 });
  const starts = hub.asked.filter(({ file }) => file === 'model.bin').map(({ from }) => from);
  expect(starts).toEqual([0, 40_000, 40_000]);
});

test('while no byte arrives, a download has no speed and no time left', async () => {
  await using hub = await startFaultHub(files);
  hub.faults.set('model.bin', [{ kind: 'stall', at: 50_000 }]);
  hub.bytesPerSecond = 100_000;
  const seen = await states(hub.url);
  const moving = seen.findIndex(({ bytesPerSecond }) => bytesPerSecond !== null);
  const stalled = seen.findIndex(({ status, bytesPerSecond }, at) => {
    return at > moving && status === 'downloading' && bytesPerSecond === null;
  });
  expect(moving).toBeGreaterThan(0);
  expect(seen[stalled]).toMatchObject({ secondsLeft: null });
  expect(seen[stalled]!.bytesDone).toBeLessThan(100_000);
  expect(seen.at(-1)).toMatchObject({ status: 'installed' });
});

test('white space around the variables of the hub is ignored', async () => {
  await using hub = await startFaultHub(files);
  const official = 'https://huggingface.co';
  expect(await download(official, { HF_ENDPOINT: ` ${hub.url} \n` })).toMatchObject({ status: 'installed' });
  const { error } = await download(hub.url, { HF_HUB_OFFLINE: '1 ' });
  expect(error).toMatchObject({ code: 'download_offline' });
});

test('the error for an invalid address of the hub names the setting', async () => {
  const { error } = await download('https://huggingface.co', { HF_ENDPOINT: 'hub.example' });
  expect(error).toMatchObject({ code: 'invalid_config' });
  expect(error!.message).toContain('HF_ENDPOINT');
});

test.runIf(process.platform === 'linux')(
  'a models folder on a read-only disk is told as one by the command',
  async () => {
    await using hub = await startFaultHub(files);
    const home = temporaryHome();
    // The mount is in the namespace of this process and ends with it.
    const flags = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user'];
    const script = 'mkdir "$ASRPRO_HOME/models" && mount -t tmpfs -o ro none "$ASRPRO_HOME/models" && exec "$0" "$@"';
    const command = ['sh', '-c', script, process.execPath, mainProgram, 'pull', 'whisper-tiny'];
    const { exitCode, stderr } = await execa('unshare', [...flags, ...command], {
      env: { ASRPRO_HOME: home, ASRPRO_DOWNLOAD_ENDPOINT: hub.url },
      reject: false,
    });
    expect(exitCode, stderr).toBe(1);
    expect(stderr).toMatch(/models folder cannot be used: the file system is read-only/);
    expect(stderr).not.toMatch(/undefined|inside asrpro/);
    expect(hub.asked).toEqual([]);
  },
);
