import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import { installError } from '../../src/engines/install-error.ts';
import { optionsOf } from '../../src/engines/noexec.ts';
import type { Ended } from '../../src/engines/run-program.ts';
import { importError } from '../../src/engines/smoke-test.ts';
import { mainProgram } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';

const building = '/home/me/engines/core-1.building';
const ended = (output: string, more: Partial<Ended> = {}): Ended => ({
  ...{ failed: true, stdout: '', output, exitCode: 1, signal: undefined, cause: null },
  ...more,
});

function told(output: string, { tool = 'pip', platform = 'Python 3.12 on linux-x86_64' } = {}): string {
  const place = { name: 'the folder of the engines', folder: '/', remedy: 'set ASRPRO_HOME', neededBytes: 7e8 };
  const { code, message, hint } = installError(ended(output), { tool, building, place, platform });
  return `${code}: ${message} ${hint}`;
}

const retrying = (why: string): string =>
  `WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by '${why}': /simple/anyio/`;
const nothing =
  'ERROR: Could not find a version that satisfies the requirement anyio==4.16.0 (from versions: none)\nERROR: No matching distribution found for anyio==4.16.0';

/** Output of pip and uv with the reason in it. The last line is seldom the reason. */
test.each([
  [
    `${retrying("NewConnectionError('<...>: Failed to establish a new connection: [Errno 111] Connection refused')")}\n${nothing}`,
    /index could not be reached.*network/,
  ],
  [
    `${retrying("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain (_ssl.c:1006)'))")}\n${nothing}`,
    /certificate of the package index is not trusted \(self-signed\).*SSL_CERT_FILE.*PIP_CERT/,
  ],
  [
    `${retrying("ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407 Proxy Authentication Required'))")}\n${nothing}`,
    /proxy asks for a user name.*HTTPS_PROXY/,
  ],
  [
    `${retrying("ProxyError('Unable to connect to proxy', NewConnectionError('[Errno 111] Connection refused'))")}\n${nothing}`,
    /through the proxy.*HTTPS_PROXY/,
  ],
  ['ERROR: Could not install packages due to an OSError: Missing dependencies for SOCKS support.', /SOCKS.*ALL_PROXY/],
  [nothing, /no anyio==4.16.0, or it cannot be reached/],
  [
    '  Downloading anyio-4.16.0-py3-none-any.whl\nERROR: Could not find a version that satisfies the requirement ctranslate2==4.8.5 (from versions: 3.0.0)\nERROR: No matching distribution found for ctranslate2==4.8.5',
    /no ctranslate2==4.8.5 for Python 3.12 on linux-x86_64/,
  ],
  [
    'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, please update the hashes.\n    anyio==4.16.0 from https://index.example/anyio.whl (from -r core.txt (line 1)):\n        Expected sha256 59\n             Got        60',
    /'anyio==4.16.0', but its content does not match/,
  ],
  [
    "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/home/me/x'\nCheck the permissions.\n",
    /^folder_unusable: .*permission denied/,
  ],
  [
    'error: externally-managed-environment\n\n× This environment is externally managed\n╰─> To install Python packages system-wide, try apt install',
    /managed by the system/,
  ],
  [
    'ERROR: Could not find a suitable TLS CA certificate bundle, invalid path: /x',
    /certificate file.*does not exist.*PIP_CERT/,
  ],
  [
    'WARNING: something\nERROR: 401 Client Error: Unauthorized for url: https://index.example/simple/anyio/',
    /\(index\.example\) requires a login/,
  ],
  [
    '  error: subprocess-exited-with-error\n  note: This error originates from a subprocess\nERROR: Failed building wheel for wget\nERROR: Failed to build installable wheels for some pyproject.toml based projects\n[notice] A new release of pip is available',
    /pip failed: Failed building wheel for wget/,
  ],
  [
    'Traceback (most recent call last):\n  File "x.py", line 1\nModuleNotFoundError: No module named pip._internal\nsomething behind it',
    /pip failed: ModuleNotFoundError: No module named pip/,
  ],
  [`ERROR: Could not open requirements file: ${building}/lib/core.txt`, /requirements file: core\.txt/],
] as const)('pip: %s', (output, reason) => {
  expect(told(output)).toMatch(reason);
  expect(told(output)).not.toContain('/home/me');
});

test.each([
  [
    'error: Request failed after 3 retries\n  Caused by: Failed to fetch: `https://index.example/simple/anyio/`\n  Caused by: error sending request for url (https://index.example/simple/anyio/)\n  Caused by: invalid peer certificate: UnknownIssuer',
    /certificate of the package index \(index\.example\).*UV_SYSTEM_CERTS/,
  ],
  [
    'error: Failed to fetch: `https://index.example/simple/anyio/`\n  Caused by: error sending request\n  Caused by: dns error: failed to lookup address information',
    /\(index\.example\) could not be reached/,
  ],
  ['error: Failed to write\n  Caused by: No space left on device (os error 28)', /^disk_full: .*700 MB are needed/],
  [
    '  × No solution found when resolving dependencies:\n  ╰─▶ Because there is no version of ctranslate2==4.8.5 and you require ctranslate2==4.8.5, we can conclude that your requirements are unsatisfiable.',
    /no ctranslate2==4.8.5 for Python 3.12/,
  ],
  [
    "error: unexpected argument '--no-project' found\n\n  tip: to pass '--no-project' as a value, use '-- --no-project'\n\nUsage: uv venv",
    /uv failed: unexpected argument '--no-project'/,
  ],
  [
    'error: Failed to install\n  Caused by: failed to rename\n  Caused by: a strange reason',
    /uv failed: Failed to install: a strange reason/,
  ],
] as const)('uv: %s', (output, reason) => {
  expect(told(output, { tool: 'uv' })).toMatch(reason);
});

test('on musl the hint recommends another Linux and not another index', () => {
  expect(told(nothing, { platform: 'Python 3.12 on linux-x86_64 (musl)' })).toMatch(/\(musl\).*glibc.*Alpine/);
});

const missing = (text: string): string =>
  `Traceback (most recent call last):\n  File "<string>", line 1\nImportError: ${text}`;
test.each<[string, Ended, RegExp]>([
  ['noexec', ended(missing('/d/_core.so: failed to map segment from shared object')), /noexec/],
  ['old glibc', ended(missing("/lib/libc.so.6: version `GLIBC_2.28' not found (required by /d/x.so)")), /glibc 2\.28/],
  [
    'old libstdc++',
    ended(missing("/lib/libstdc++.so.6: version `GLIBCXX_3.4.29' not found")),
    /libstdc\+\+ is too old/,
  ],
  [
    'no libgomp',
    ended(missing('libgomp.so.1: cannot open shared object file: No such file or directory')),
    /libgomp\.so\.1 is missing.*apt install libgomp1/,
  ],
  [
    'no such CPU',
    ended('', { signal: 'SIGILL', cause: 'it was killed by SIGILL', exitCode: undefined }),
    /CPU lacks instructions.*AVX/,
  ],
  ['memory', ended('', { signal: 'SIGKILL', cause: 'it was killed by SIGKILL', exitCode: undefined }), /memory/],
  [
    'too slow',
    ended('', { signal: 'SIGKILL', cause: 'it did not end within 900 s', exitCode: undefined }),
    /Python did not end within 900 s/,
  ],
  [
    'a package is not there',
    ended("Traceback:\nModuleNotFoundError: No module named 'numpy'"),
    /No module named 'numpy'.*--reinstall/,
  ],
  ['Windows', ended(missing('DLL load failed while importing _ext: not found')), /Visual C\+\+/],
  [
    'another processor',
    ended(missing('/d/x.so: mach-o file, but is an incompatible architecture (have x86_64, need arm64)')),
    /another kind of processor/,
  ],
])('packages that cannot be imported: %s', (name, how, reason) => {
  const { message, hint } = importError(how, building);
  expect(`${message} ${hint}`).toMatch(reason);
  if (name !== 'old glibc') expect(`${message} ${hint}`).not.toMatch(/glibc/);
});

test('the mount of a folder is the last one with the longest matching path, with the escapes of the kernel undone', () => {
  const mounts = [
    '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda rw',
    '30 22 0:5 / /home rw,noexec - ext4 /dev/sdb rw',
    '31 30 0:6 / /home/my\\040disk rw,nosuid - ext4 /dev/sdc rw',
  ].join('\n');
  expect(optionsOf('/home/me', mounts)).toContain('noexec');
  expect(optionsOf('/homeless', mounts)).not.toContain('noexec');
  expect(optionsOf('/home/my disk/engines', mounts)).toEqual(['rw', 'nosuid']);
});

test.runIf(process.platform === 'linux')(
  'a data folder that is mounted noexec is told before anything is fetched',
  () => {
    const home = temporaryHome();
    const flags = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user'];
    const script = 'mount -t tmpfs -o noexec,size=2g none "$ASRPRO_HOME" && exec "$0" "$@"';
    const { status, stderr } = spawnSync(
      'unshare',
      [...flags, 'sh', '-c', script, process.execPath, path.resolve(mainProgram), 'setup', 'core'],
      { env: { ...process.env, ASRPRO_HOME: home }, encoding: 'utf8' },
    );
    expect(status, stderr).toBe(4);
    expect(stderr).toMatch(/mounted `noexec`.*\n?.*ASRPRO_HOME/);
    expect(stderr).not.toMatch(/glibc|fetching/);
  },
);
