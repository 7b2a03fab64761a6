import { execFileSync } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig, type Override } from '../../src/config/load.ts';
import { defaultConfig } from '../../src/config/schema.ts';
import { temporaryHome } from '../setup/home.ts';

function load(content: unknown, environment: NodeJS.ProcessEnv = {}, flags: Override[] = []) {
  const file = path.join(temporaryHome(), 'config.json');
  if (content !== undefined) writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return loadConfig({ file, environment, flags });
}
const portFlag = (value: string): Override => ({ key: 'server.port', value, source: 'flag --port' });

test('without file, environment and flags every key has its default', () => {
  const { config, sources } = load(undefined);
  expect(config).toEqual(defaultConfig);
  expect(new Set(Object.values(sources))).toEqual(new Set(['default']));
});

test('flags override the environment, the environment overrides the file, the file overrides defaults', () => {
  const file = { server: { port: 1, maxQueue: 2, drainSeconds: 3 } };
  const environment = { ASRPRO_SERVER_PORT: '10', ASRPRO_SERVER_MAX_QUEUE: '20' };
  const { config, sources } = load(file, environment, [portFlag('100')]);
  expect(config.server).toMatchObject({ port: 100, maxQueue: 20, drainSeconds: 3, queueSeconds: 120 });
  expect(sources).toMatchObject({
    'server.port': 'flag --port',
    'server.maxQueue': 'environment ASRPRO_SERVER_MAX_QUEUE',
    'server.drainSeconds': expect.stringMatching(/^\/.*config\.json$/),
    'server.queueSeconds': 'default',
  });
});

test.each([
  ['ASRPRO_SERVER_MAX_UPLOAD_BYTES', '5000', 'server', 'maxUploadBytes', 5000],
  ['ASRPRO_SERVER_QUEUE_SECONDS', '0.5', 'server', 'queueSeconds', 0.5],
  ['ASRPRO_SERVER_API_KEY', '123', 'server', 'apiKey', '123'],
  ['ASRPRO_SERVER_API_KEY', '', 'server', 'apiKey', null],
  ['ASRPRO_SERVER_API_KEY', 'key\n', 'server', 'apiKey', 'key'],
  ['ASRPRO_SERVER_HOST', '0.0.0.0 ', 'server', 'host', '0.0.0.0'],
  ['ASRPRO_DOWNLOAD_OFFLINE', ' true\r\n', 'download', 'offline', true],
  ['ASRPRO_LOG_LEVEL', 'warn ', 'log', 'level', 'warn'],
  ['ASRPRO_MODELS_DIRECTORY', ' ', 'models', 'directory', null],
  ['ASRPRO_CLUSTER_ADDRESS', 'head.local:6379', 'cluster', 'address', 'head.local:6379'],
  ['ASRPRO_CLUSTER_ADDRESS', '[fd00::1]:6379', 'cluster', 'address', '[fd00::1]:6379'],
  ['ASRPRO_CLUSTER_REPLICAS', '3', 'cluster', 'replicas', 3],
  ['ASRPRO_CLUSTER_REPLICAS', '{"min": 1, "max": 4}', 'cluster', 'replicas', { min: 1, max: 4 }],
  ['ASRPRO_CLUSTER_REPLICAS', 'null', 'cluster', 'replicas', null],
  ['ASRPRO_CLUSTER_TOKEN', '123', 'cluster', 'token', '123'],
  ['ASRPRO_SERVER_ALLOWED_HOSTS', 'a.local, b.local', 'server', 'allowedHosts', ['a.local', 'b.local']],
  ['ASRPRO_SERVER_ALLOWED_HOSTS', '["a.local"]', 'server', 'allowedHosts', ['a.local']],
  ['ASRPRO_MODELS_SEARCH_DIRECTORIES', '/a,, /b,', 'models', 'searchDirectories', ['/a', '/b']],
  ['ASRPRO_SERVER_ALLOWED_HOSTS', '', 'server', 'allowedHosts', []],
  ['ASRPRO_DOWNLOAD_OFFLINE', 'yes', 'download', 'offline', true],
  ['ASRPRO_DOWNLOAD_MIRRORS', '0', 'download', 'mirrors', false],
  ['ASRPRO_MODELS_DEFAULT', 'null', 'models', 'default', null],
  [
    'ASRPRO_MODELS_SETTINGS',
    '{"whisper-base":{"beamSize":1}}',
    'models',
    'settings',
    { 'whisper-base': { beamSize: 1 } },
  ],
])('%s=%s', (name, value, section, key, expected) => {
  const { config } = load(undefined, { [name]: value });
  expect((config as Record<string, Record<string, unknown>>)[section]![key]).toEqual(expected);
});

test.each<[string, unknown, NodeJS.ProcessEnv, Override[], RegExp]>([
  [
    'wrong type in the file',
    { server: { port: 'x' } },
    {},
    [],
    /^server\.port \(\S+config\.json\): "x" .*a whole number from 0 to/,
  ],
  ['out of range', { server: { maxQueue: 0 } }, {}, [], /^server\.maxQueue \(\S+config\.json\): 0 .*from 1 to 10000/],
  ['wrong environment', {}, { ASRPRO_SERVER_PORT: 'x' }, [], /^server\.port \(environment ASRPRO_SERVER_PORT\): "x"/],
  ['wrong flag', {}, { ASRPRO_SERVER_PORT: '1' }, [portFlag('70000')], /^server\.port \(flag --port\): 70000/],
  ['wrong choice', { log: { level: 'loud' } }, {}, [], /one of trace, debug, info, warn, error, silent/],
  ['unknown key', { server: { prot: 1 } }, {}, [], /^server\.prot \(\S+config\.json\).*did you mean port\?/],
  ['unknown section', { sever: {} }, {}, [], /^sever \(\S+config\.json\).*did you mean server\?/],
  [
    'deep key',
    { models: { settings: { a: { beamSize: 'x' } } } },
    {},
    [],
    /^models\.settings\.a\.beamSize \(\S+config\.json\)/,
  ],
  ['unknown variable', {}, { ASRPRO_SERVER_PROT: '1' }, [], /ASRPRO_SERVER_PROT .*did you mean ASRPRO_SERVER_PORT\?/],
  ['no JSON', '{"server": {', {}, [], /is not valid JSON/],
  ['no object', '[]', {}, [], /is not a JSON object/],
  ['section no object', '{"server": 1}', {}, [], /^server \(\S+config\.json\): 1 is not an object/],
])(
  '%s is an error that names the key, the source and the allowed values',
  (_name, content, environment, flags, message) => {
    expect(() => load(content, environment, flags)).toThrow(
      expect.objectContaining({ code: 'invalid_config', message: expect.stringMatching(message) }),
    );
  },
);

test('a file that the user named must exist', () => {
  const file = path.join(temporaryHome(), 'absent.json');
  expect(() => loadConfig({ file, fileRequired: true, environment: {}, flags: [] })).toThrow(/ENOENT/);
});

test('the key $schema and unknown ASRPRO_ variables are ignored', () => {
  expect(load({ $schema: 'x' }, { ASRPRO_HOME: '/x', ASRPRO_SERVERLESS: '1' }).config).toEqual(defaultConfig);
});

test('a broken file is not changed', () => {
  const file = path.join(temporaryHome(), 'config.json');
  writeFileSync(file, '{"server"');
  expect(() => loadConfig({ file, environment: {}, flags: [] })).toThrow();
  expect(readFileSync(file, 'utf8')).toBe('{"server"');
});

test('a byte order mark is ignored', () => {
  expect(load('\uFEFF{"server":{"port":1}}').config.server.port).toBe(1);
});

test.each(['utf16le', 'swapped'])('a file in UTF-16 gets an error of its own: %s', (kind) => {
  const file = path.join(temporaryHome(), 'config.json');
  const bytes = Buffer.from('{"server":{}}', 'utf16le');
  writeFileSync(file, kind === 'swapped' ? Buffer.concat([Buffer.from([0xfe, 0xff]), bytes.swap16()]) : bytes);
  expect(() => loadConfig({ file, environment: {}, flags: [] })).toThrow(
    expect.objectContaining({ code: 'invalid_config', message: `${file} is UTF-16 instead of UTF-8.` }),
  );
});

test('a pipe or a folder in place of the file is an error at once', () => {
  const home = temporaryHome();
  const file = path.join(home, 'config.json');
  execFileSync('mkfifo', [file]);
  expect(() => loadConfig({ file, environment: {}, flags: [] })).toThrow(/config\.json cannot be read: it is a pipe/);
  expect(() => loadConfig({ file: home, environment: {}, flags: [] })).toThrow(/cannot be read: a folder is where/);
});

test.each([
  ['one of the catalogue', [{ id: 'whisper-base', repo: 'a/b' }], 'models.custom.0.id', 'the catalogue has'],
  [
    'another one',
    [
      { id: 'x', repo: 'a/b' },
      { id: 'x', path: '/c' },
    ],
    'models.custom.1.id',
    'the list has',
  ],
])('a custom model may not have the id of %s', (_whose, custom, key, owner) => {
  const file = path.join(temporaryHome(), 'config.json');
  writeFileSync(file, JSON.stringify({ models: { custom } }));
  expect(() => loadConfig({ file, environment: {}, flags: [], catalogueIds: ['whisper-base'] })).toThrow(
    expect.objectContaining({
      code: 'invalid_config',
      message: `${key} (${file}): "${custom[0]!.id}" is not allowed: ${owner} another model with this id.`,
    }),
  );
});

test.each(['10.0.0.1', 'http://head:6379', 'head:99999', 'fd00::1:6379', ''])(
  'cluster.address is HOST:PORT, not %j',
  (address) => {
    const where = expect.objectContaining({ param: 'cluster.address', message: expect.stringContaining('HOST:PORT') });
    expect(() => load({ cluster: { address } })).toThrow(where);
  },
);

test.each([0, 1.5, { min: 3, max: 2 }, { min: 1 }, 'many'])('cluster.replicas is not %j', (replicas) => {
  expect(() => load({ cluster: { replicas } })).toThrow(expect.objectContaining({ code: 'invalid_config' }));
});

test.each(['geheimer Schlüssel', 'key\n', ' key', 'a\tb'])(
  'an API key that no client can send in a header is an error, which does not show it: %j',
  (apiKey) => {
    expect(() => load({ server: { apiKey } })).toThrow(
      expect.objectContaining({
        code: 'invalid_config',
        message: expect.stringMatching(/^server\.apiKey \(.*\): its value is not allowed: .*ASCII/),
      }),
    );
  },
);

test('an error about a secret does not show it', () => {
  for (const [section, name] of [
    ['server', 'apiKey'],
    ['cluster', 'token'],
  ]) {
    expect(() => load({ [section!]: { [name!]: 8642 } })).toThrow(/^(?!.*8642).*not allowed; give text or null/);
  }
});

test.each([
  ['worker', 'loadTimeoutSeconds'],
  ['worker', 'stopSeconds'],
  ['server', 'drainSeconds'],
  ['server', 'queueSeconds'],
])('a time that Node cannot count is an error, because it would be over at once: %s.%s', (section, name) => {
  expect(() => load({ [section]: { [name]: 99_999_999 } })).toThrow(/99999999 is not allowed; give a number .*2000000/);
  expect(() => load(undefined, { [`ASRPRO_${section}_QUEUE_SECONDS`.toUpperCase()]: 'Infinity' })).toThrow();
});

test('the value in an error is the one that was given', () => {
  const environment = { ASRPRO_WORKER_STOP_SECONDS: 'Infinity' };
  expect(() => load(undefined, environment)).toThrow(/STOP_SECONDS\): "Infinity" is not allowed/);
});

test.each(['german', 'en-US', ''])('the language of a model must be a code: %j', (language) => {
  const file = { models: { settings: { 'whisper-base': { language } } } };
  expect(() => load(file)).toThrow(/models\.settings\.whisper-base\.language .*ISO-639-1/);
});

test('a file in another encoding than UTF-8 is an error, and not a folder with broken letters', () => {
  const file = path.join(temporaryHome(), 'config.json');
  writeFileSync(file, Buffer.from('{"models":{"directory":"/home/Müller"}}', 'latin1'));
  expect(() => loadConfig({ file, environment: {}, flags: [] })).toThrow(/config\.json is not UTF-8/);
});

test('a configuration file that is a link to nowhere is an error, and not a start without its settings', () => {
  const file = path.join(temporaryHome(), 'config.json');
  symlinkSync(path.join(path.dirname(file), 'gone.json'), file);
  expect(() => loadConfig({ file, environment: {}, flags: [] })).toThrow(/config\.json cannot be read: it is a link/);
});

test.each([
  ['allowedHosts', '*', 'asr.example.com'],
  ['allowedHosts', 'http://asr.lan', 'asr.example.com'],
  ['allowedOrigins', '*', 'https://app.example'],
  ['allowedOrigins', 'app.example', 'https://app.example'],
  ['allowedOrigins', 'https://app.example/page', 'https://app.example'],
])('an entry of server.%s that no request can have is an error: %s', (name, entry, example) => {
  expect(() => load({ server: { [name]: [entry] } })).toThrow(
    new RegExp(`server\\.${name}\\.0 .*for example ${example}`),
  );
});

test('hosts and origins of every kind are accepted', () => {
  const allowedHosts = ['asr', 'asr.lan:8277', '192.168.0.7', '[fd00::7]:80', 'bücher.example'];
  const allowedOrigins = [
    'null',
    'file://',
    'app://-',
    'http://localhost:3000/',
    'chrome-extension://abc',
    'tauri://localhost',
  ];
  expect(load({ server: { allowedHosts, allowedOrigins } }).config.server).toMatchObject({
    allowedHosts,
    allowedOrigins,
  });
});

test('variables that Kubernetes sets for a service named asrpro-server are no settings', () => {
  const environment = {
    ASRPRO_SERVER_SERVICE_HOST: '10.0.0.7',
    ASRPRO_SERVER_SERVICE_PORT: '8277',
    ASRPRO_SERVER_SERVICE_PORT_HTTP: '8277',
    ASRPRO_SERVER_PORT: 'tcp://10.0.0.7:8277',
    ASRPRO_SERVER_PORT_8277_TCP: 'tcp://10.0.0.7:8277',
    ASRPRO_SERVER_PORT_8277_TCP_ADDR: '10.0.0.7',
  };
  expect(load(undefined, environment).config).toEqual(defaultConfig);
});

test.each([{ directory: '' }, { searchDirectories: ['/a', ''] }, { custom: [{ id: 'mine', path: '' }] }])(
  'an empty path is an error, and not the current folder: %j',
  (models) => {
    expect(() => load({ models })).toThrow(/models\.\w+.*"" is not allowed/);
  },
);

test('the languages of a custom model must be codes', () => {
  const custom = [{ id: 'mine', repo: 'a/b', languages: ['german'] }];
  expect(() => load({ models: { custom } })).toThrow(/models\.custom\.0\.languages\.0 .*ISO-639-1/);
});
