import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { resolvePaths } from '../../src/config/paths.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { Backoff } from '../../src/downloads/backoff.ts';
import { createDownloads } from '../../src/downloads/downloads.ts';
import type { DownloadStatus, Downloads } from '../../src/downloads/types.ts';
import { createLog } from '../../src/log.ts';
import type { Model } from '../../src/models/model.ts';
import { damagedFile, readInstalled } from '../../src/models/store.ts';
import { temporaryHome } from '../setup/home.ts';
import { seeded } from '../setup/seeded.ts';
import { type Fault, type FaultHub, REVISION, startFaultHub } from './fault-hub.ts';
import { modelFiles } from './model-files.ts';

/** The first bytes of real files: hundreds of downloads take seconds. */
const files = modelFiles('whisper-tiny.en', 400_000);
const model = 'under-test';
const quick: Backoff = { tries: 5, firstMs: 1, longestMs: 4, stallMs: 150 };

function createUnderTest(hub: FaultHub, home: string, environment: NodeJS.ProcessEnv = {}): Downloads {
  const paths = resolvePaths({ ASRPRO_HOME: home });
  const config = configSchema.parse({
    models: { custom: [{ id: model, repo: 'org/name' }] },
    download: { endpoint: hub.url },
  });
  return createDownloads({
    ...{ config, paths, environment, backoff: quick },
    log: createLog({ level: 'silent', format: 'json' }),
    library: { find: async (id: string) => ({ id }) as Model } as never,
    pip: () => Promise.reject(new Error('no mirror here')),
  });
}

/** Watches a download to its end. Its bytes never go back and never exceed the total. */
async function follow(downloads: Downloads): Promise<DownloadStatus> {
  let last = await downloads.start(model);
  for await (const status of downloads.watch(model)) {
    if (status.restarts === last.restarts) expect(status.bytesDone).toBeGreaterThanOrEqual(last.bytesDone);
    if (status.bytesTotal !== null) expect(status.bytesDone).toBeLessThanOrEqual(status.bytesTotal);
    last = status;
  }
  return last;
}

function expectWhole(home: string): void {
  const installed = readInstalled(path.join(home, 'models'), model)!;
  expect(installed.files.map(({ path: name }) => name).sort()).toEqual([...files.keys()].sort());
  expect(installed.revision).toBe(REVISION);
  for (const [name, content] of files) {
    expect(readFileSync(path.join(home, 'models', model, name)).equals(content), name).toBe(true);
  }
}

function expectNothing(home: string): void {
  expect(readInstalled(path.join(home, 'models'), model)).toBeNull();
}

test('a download without faults checks every file and writes the marker of an installed model', async () => {
  await using hub = await startFaultHub(files);
  const home = temporaryHome();
  const last = await follow(createUnderTest(hub, home));
  expect(last).toMatchObject({ status: 'installed', source: 'hub', error: null, secondsLeft: 0, restarts: 0 });
  expect(last.bytesDone).toBe(last.bytesTotal);
  expectWhole(home);
  expect(readInstalled(path.join(home, 'models'), model)!.files[0]!.statedBy).toBe('hub');
  expect(readdirSync(path.join(home, 'models', model)).sort()).toEqual(['.asrpro.json', ...files.keys()].sort());
});

test('sixty fault plans end as installed with the right bytes, or as failed with the error of one of their faults', {
  timeout: 300_000,
}, async () => {
  const random = seeded(20_261_125);
  await using hub = await startFaultHub(files);
  const outcomes = { installed: 0, failed: 0 };
  for (let plan = 0; plan < 60; plan += 1) {
    const home = temporaryHome();
    hub.faults = randomPlan(random, hub.url);
    const told = JSON.stringify([...hub.faults]);
    const planned = new Map([...hub.faults].map(([name, faults]) => [name, [...faults]]));
    const last = await follow(createUnderTest(hub, home));
    if (last.status === 'installed') expectWhole(home);
    else {
      expect(last, told).toMatchObject({ status: 'failed', error: { message: expect.stringMatching(/\S/) } });
      // A message that names a file is about a fault of this file.
      const named = [...planned.keys()].find((name) => last.error!.message.includes(`'${name}'`));
      const faults = named === undefined ? [...planned.values()].flat() : planned.get(named)!;
      expect([...codesOf(faults)], told).toContain(last.error!.code);
      // A failure of the local disk is no failure of the hub.
      expect(last.error!.message, told).not.toMatch(/\bE(ACCES|EXIST|IO|ISDIR|MFILE|NOENT|PERM|ROFS)\b/);
      expectNothing(home);
    }
    outcomes[last.status as 'installed' | 'failed'] += 1;
    // A hub without faults then completes the download, whatever the faults have left on disk.
    hub.faults = new Map();
    expect((await follow(createUnderTest(hub, home))).status, told).toBe('installed');
    expectWhole(home);
  }
  expect(outcomes.installed).toBeGreaterThan(15);
  expect(outcomes.failed).toBeGreaterThan(6);
});

test.each<[string, Fault[], string | null, number]>([
  ['three cuts in the middle', [cut(10), cut(1000), cut(300_000)], null, 4],
  ['a stall', [{ kind: 'stall', at: 1000 }], null, 2],
  ['an ignored range', [cut(1000), { kind: 'ignore range' }], null, 2],
  ['a flipped bit, once', [{ kind: 'flip', at: 5000 }], null, 2],
  [
    'a bit that is always flipped',
    [
      { kind: 'flip', at: 5000 },
      { kind: 'flip', at: 5000 },
    ],
    'checksum_mismatch',
    2,
  ],
  ['other content', [{ kind: 'change' }, { kind: 'change' }], 'checksum_mismatch', 2],
  ['a wrong length', [{ kind: 'wrong length', by: 7 }], 'checksum_mismatch', 1],
  ['errors of the server', [status(500), status(503), status(502)], null, 4],
  ['a server error that does not end', [1, 2, 3, 4, 5].map(() => status(500)), 'hub_unreachable', 5],
  ['a short Retry-After', [status(429, { 'retry-after': '0' })], null, 2],
  ['a rate limit that lasts too long', [status(429, { ratelimit: '"resolvers";r=0;t=3000' })], 'hub_rate_limited', 1],
  ['a removed file', [status(404, { 'x-error-code': 'EntryNotFound' })], 'hub_not_found', 1],
  ['terms of use that the user has not accepted', [status(403, { 'x-error-code': 'GatedRepo' })], 'hub_gated', 1],
  ['a token without rights', [status(403)], 'hub_forbidden', 1],
  ['no token', [status(401)], 'hub_not_found', 1],
  ['gzip without a length', [{ kind: 'gzip' }], null, 1],
  ['a slow drip', [{ kind: 'drip' }], null, 1],
])('%s', async (_name, faults, code, requests) => {
  await using hub = await startFaultHub(files);
  hub.faults.set('model.bin', [...faults]);
  const home = temporaryHome();
  const last = await follow(createUnderTest(hub, home));
  expect(last.error?.code ?? null).toBe(code);
  expect(last.status).toBe(code === null ? 'installed' : 'failed');
  if (code === null) expectWhole(home);
  else expectNothing(home);
  expect(hub.asked.filter(({ file }) => file === 'model.bin')).toHaveLength(requests);
});

test('the token is sent to the hub, and never to the host of a redirect', async () => {
  await using elsewhere = await startFaultHub(files);
  await using hub = await startFaultHub(files);
  // The redirect leads to another host name, as to a content delivery network.
  const to = elsewhere.url.replace('127.0.0.1', 'localhost');
  for (const name of files.keys()) hub.faults.set(name, [{ kind: 'redirect', to }]);
  const home = temporaryHome();
  const last = await follow(createUnderTest(hub, home, { HF_TOKEN: 'hf_secret' }));
  expect(last.status).toBe('installed');
  expect(hub.asked.every(({ authorization }) => authorization === 'Bearer hf_secret')).toBe(true);
  expect(elsewhere.asked).toHaveLength(files.size);
  expect(elsewhere.asked.every(({ authorization }) => authorization === undefined)).toBe(true);
});

test.each(['../../outside', '/outside', 'a/../../outside', 'a\\..\\outside', 'C:outside', '.asrpro.json'])(
  'a list that names %s is refused',
  async (name) => {
    await using hub = await startFaultHub(files);
    hub.extraNames = [name];
    const home = temporaryHome();
    const last = await follow(createUnderTest(hub, home));
    expectNothing(home);
    expect(last.error?.code).toBe('download_failed');
    expect(
      readdirSync(home, { recursive: true })
        .map(String)
        .filter((file) => file.includes('outside')),
    ).toEqual([]);
  },
);

test('callers share one download, and another instance on the same home waits for it', async () => {
  await using hub = await startFaultHub(files);
  hub.bytesPerSecond = 2_000_000;
  const home = temporaryHome();
  const [one, other] = [createUnderTest(hub, home), createUnderTest(hub, home)];
  const ends = await Promise.all([follow(one), follow(one), follow(other)]);
  expect(ends.map(({ status }) => status)).toEqual(['installed', 'installed', 'installed']);
  expectWhole(home);
  expect(hub.asked.filter(({ file }) => file === 'model.bin')).toHaveLength(1);
});

test('a cancel keeps the partial file for the next download, or removes it on request', async () => {
  await using hub = await startFaultHub(files);
  hub.bytesPerSecond = 400_000;
  const home = temporaryHome();
  const downloads = createUnderTest(hub, home);
  const folder = path.join(home, 'models', model);
  const cancelAt = async (bytes: number, keep: boolean) => {
    await downloads.start(model);
    for await (const { bytesDone } of downloads.watch(model)) if (bytesDone > bytes) break;
    return await downloads.cancel(model, { keep });
  };
  expect((await cancelAt(300_000, true)).status).toBe('cancelled');
  const kept = partialSize(folder, 'model.bin');
  expect(kept).toBeGreaterThan(0);
  expectNothing(home);
  expect(await cancelAt(700_000, false)).toMatchObject({ status: 'cancelled', bytesDone: 0 });
  expect(hub.asked.findLast(({ file }) => file === 'model.bin')!.from).toBe(kept);
  expect(existsSync(folder)).toBe(false);
});

test('a full disk is reported as disk_full, is not retried, and leaves no partial file', async () => {
  await using hub = await startFaultHub(files);
  const home = temporaryHome();
  const folder = path.join(home, 'models', model);
  mkdirSync(folder, { recursive: true });
  // The partial file is a link to the device of the kernel that is always full.
  symlinkSync('/dev/full', path.join(folder, partialName('model.bin')));
  const last = await follow(createUnderTest(hub, home));
  expect(last).toMatchObject({ status: 'failed', error: { code: 'disk_full', retryable: false } });
  expect(hub.asked.filter(({ file }) => file === 'model.bin').length).toBeLessThanOrEqual(1);
  expect(readdirSync(folder).filter((name) => name.endsWith('.partial'))).toEqual([]);
  expectNothing(home);
});

test('verify reads every file again and fetches only the damaged one', async () => {
  await using hub = await startFaultHub(files);
  const home = temporaryHome();
  const downloads = createUnderTest(hub, home);
  await follow(downloads);
  const broken = path.join(home, 'models', model, 'model.bin');
  const content = readFileSync(broken);
  content[1234]! ^= 1;
  writeFileSync(broken, content);
  hub.asked.length = 0;
  await downloads.start(model, { verify: true });
  for await (const _status of downloads.watch(model));
  expect((await downloads.get(model))!.status).toBe('installed');
  expectWhole(home);
  expect(hub.asked.map(({ file }) => file)).toEqual(['list', 'model.bin']);
});

test('a download without verify notices an empty file and fetches it again', async () => {
  await using hub = await startFaultHub(files);
  const home = temporaryHome();
  await follow(createUnderTest(hub, home));
  const damaged = path.join(home, 'models', model, 'config.json');
  writeFileSync(damaged, '');
  expect(damagedFile(path.join(home, 'models'), readInstalled(path.join(home, 'models'), model)!)).toBe('config.json');
  expect((await follow(createUnderTest(hub, home))).status).toBe('installed');
  expectWhole(home);
});

test('HF_HUB_OFFLINE: the hub gets no request', async () => {
  await using hub = await startFaultHub(files);
  const last = await follow(createUnderTest(hub, temporaryHome(), { HF_HUB_OFFLINE: '1' }));
  expect(last.error?.code).toBe('download_offline');
  expect(hub.asked).toEqual([]);
});

function cut(at: number): Fault {
  return { kind: 'cut', at };
}

function status(code: number, headers: Record<string, string> = {}): Fault {
  return { kind: 'status', status: code, headers };
}

function partialName(name: string): string {
  const content = files.get(name)!;
  const { createHash } = process.getBuiltinModule('node:crypto');
  return `${name}.${createHash('sha256').update(content).digest('hex').slice(0, 12)}.partial`;
}

function partialSize(folder: string, name: string): number {
  return readFileSync(path.join(folder, partialName(name))).length;
}

/** The error codes that a download with these faults may end with. Faults without a code must be overcome. */
function codesOf(faults: readonly Fault[]): Set<string> {
  const statuses: Record<number, string> = { 403: 'hub_forbidden', 404: 'hub_not_found', 429: 'hub_rate_limited' };
  const codes = faults.flatMap((fault) => {
    if (fault.kind === 'status') return [statuses[fault.status] ?? 'hub_unreachable'];
    if (fault.kind === 'cut' || fault.kind === 'stall') return ['hub_unreachable'];
    if (fault.kind === 'flip' || fault.kind === 'change') return ['checksum_mismatch'];
    return fault.kind === 'wrong length' ? ['checksum_mismatch', 'hub_unreachable'] : [];
  });
  return new Set(codes);
}

function randomPlan(random: () => number, url: string): Map<string, Fault[]> {
  const upTo = (limit: number): number => Math.floor(random() * limit);
  const kinds: (() => Fault)[] = [
    () => cut(upTo(400_000)),
    () => cut(upTo(50)),
    () => ({ kind: 'stall', at: upTo(400_000) }),
    () => ({ kind: 'flip', at: upTo(400_000) }),
    () => ({ kind: 'drip' }),
    () => ({ kind: 'ignore range' }),
    () => ({ kind: 'wrong length', by: upTo(9) - 4 || 1 }),
    () => ({ kind: 'change' }),
    () => ({ kind: 'gzip' }),
    () => ({ kind: 'redirect', to: url.replace('127.0.0.1', 'localhost') }),
    () => status([429, 500, 503, 502, 404, 403][upTo(6)]!),
  ];
  return new Map(
    [...files.keys(), 'list'].map((name) => {
      const count = name === 'list' ? (random() < 0.1 ? 1 : 0) : random() < 0.5 ? 0 : 1 + upTo(4);
      const fits = name === 'list' ? kinds.slice(-1) : kinds;
      return [name, Array.from({ length: count }, () => fits[upTo(fits.length)]!())];
    }),
  );
}
