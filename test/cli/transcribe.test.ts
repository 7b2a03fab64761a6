import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { mainProgram } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { runFiles } from '../setup/leftovers.ts';
import { wav } from '../setup/wav.ts';

const program = [mainProgram, 'transcribe', '--mock'];
const posix = process.platform !== 'win32';

/** A home with the files `two.wav` and `three.wav` of two and three seconds. */
function homeWithAudio(): string {
  const home = temporaryHome();
  writeFileSync(path.join(home, 'two.wav'), wav(2));
  writeFileSync(path.join(home, 'three.wav'), wav(3));
  return home;
}

/** Runs `asrpro transcribe --mock` in a home; with `shell`, through a shell. */
async function transcribe(home: string, args: string[], options: { input?: Buffer; shell?: string } = {}) {
  const [file, given] = options.shell
    ? ['bash', ['-c', options.shell, 'bash', process.execPath, ...program]]
    : [process.execPath, [...program, ...args]];
  const { exitCode, stdout, stderr } = await execa(file!, given as string[], {
    cwd: home,
    env: { ASRPRO_HOME: home },
    reject: false,
    ...(options.input ? { input: options.input } : { stdin: 'ignore' as const }),
  });
  expect(`${stdout}${stderr}`).not.toContain('undefined');
  expect(runFiles(home), 'nothing is left behind').toEqual([]);
  return { code: exitCode, lengths: lengthsIn(stdout), err: stderr };
}

function lengthsIn(out: string): string[] {
  return [...out.matchAll(/of (\d+\.\d) seconds/g)].map((match) => match[1]!);
}

test.each(posix ? ['-', '/dev/stdin', '/dev/fd/0'] : ['-'])('%s reads stdin', async (name) => {
  expect(await transcribe(homeWithAudio(), [name], { input: wav(2) })).toEqual({ code: 0, lengths: ['2.0'], err: '' });
});

test.runIf(posix)('stdin may be a file', async () => {
  const shell = '"$@" /dev/stdin < two.wav && "$@" - < three.wav';
  expect(await transcribe(homeWithAudio(), [], { shell })).toEqual({ code: 0, lengths: ['2.0', '3.0'], err: '' });
});

test.runIf(posix)('pipes of a shell, links and files are transcribed in their order', async () => {
  const home = homeWithAudio();
  symlinkSync('two.wav', path.join(home, 'link.wav'));
  symlinkSync('/dev/stdin', path.join(home, 'in.wav'));
  const shell = '"$@" <(cat three.wav) link.wav two.wav <(cat two.wav) in.wav < three.wav';
  const { code, lengths } = await transcribe(home, [], { shell });
  expect({ code, lengths }).toEqual({ code: 0, lengths: ['3.0', '2.0', '2.0', '2.0', '3.0'] });
});

test.runIf(posix)('a named pipe is read as soon as a writer opens it', async () => {
  const home = homeWithAudio();
  execFileSync('mkfifo', [path.join(home, 'pipe')]);
  const writer = spawn('sh', ['-c', 'cat three.wav > pipe'], { cwd: home, stdio: 'ignore' });
  onTestFinished(() => void writer.kill());
  expect(await transcribe(home, ['pipe', 'two.wav'])).toEqual({ code: 0, lengths: ['3.0', '2.0'], err: '' });
});

test.runIf(posix).each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends the command while it waits for a writer',
  async (signal) => {
    const home = homeWithAudio();
    execFileSync('mkfifo', [path.join(home, 'pipe')]);
    for (const name of ['pipe', '-']) {
      const child = spawn(process.execPath, [...program, name], {
        ...{ cwd: home, env: { ...process.env, ASRPRO_HOME: home } },
        stdio: ['pipe', 'ignore', 'pipe'],
      });
      let err = '';
      child.stderr.on('data', (chunk) => (err += chunk));
      // The copy of stdin in the spool shows that the command has begun to read.
      await expect
        .poll(() => runFiles(home).filter((file) => /spool.+/.test(file)), { timeout: 10_000 })
        .toHaveLength(1);
      child.kill(signal);
      const [code] = await once(child, 'close');
      expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('Stopped') });
      expect(runFiles(home)).toEqual([]);
    }
  },
);

test('folders and missing, empty or unreadable files are reported by name; the other files are transcribed', async () => {
  const home = homeWithAudio();
  mkdirSync(path.join(home, 'folder'));
  writeFileSync(path.join(home, 'empty.wav'), '');
  writeFileSync(path.join(home, 'text.wav'), 'no sound');
  const { code, lengths, err } = await transcribe(home, [
    ...['two.wav', 'folder', 'nowhere.wav', 'two.wav/x', '', 'empty.wav', 'text.wav', 'three.wav'],
  ]);
  expect({ code, lengths }).toEqual({ code: 1, lengths: ['2.0', '3.0'] });
  expect(err.split('\n')).toEqual([
    'folder is a folder; name the files in it.',
    'nowhere.wav does not exist.',
    expect.stringMatching(/^two.wav\/x does not exist/),
    expect.stringContaining('The name of the file is empty.'),
    'empty.wav is empty.',
    expect.stringMatching(/^text.wav: Invalid file format/),
    expect.stringContaining('6 of 8 files could not be transcribed.'),
  ]);
});

test('a folder as the only argument gets its own message', async () => {
  const home = homeWithAudio();
  const { code, err } = await transcribe(home, ['.']);
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('. is a folder; name the files in it.') });
});

test.runIf(posix).each([
  ['/dev/null', /\/dev\/null is a device/],
  ['/dev/zero', /\/dev\/zero is a device/],
  ['/dev/fd/77', /\/dev\/fd\/77 cannot be read: it is not open/],
])('%s is refused', async (name, message) => {
  const { code, err } = await transcribe(homeWithAudio(), [name]);
  expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(message) });
});

test('an empty stdin is an error', async () => {
  const { code, err } = await transcribe(homeWithAudio(), ['-']);
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('stdin is empty') });
});

test.runIf(posix)('a file without read permission is an error', async () => {
  const home = homeWithAudio();
  chmodSync(path.join(home, 'two.wav'), 0);
  // root may read everything
  const said = process.getuid?.() === 0 ? '' : 'asrpro: two.wav cannot be read: permission denied (EACCES).';
  expect((await transcribe(home, ['two.wav'])).err).toBe(said);
});

test('an endless pipe is cut off at the upload limit', async () => {
  const home = homeWithAudio();
  writeFileSync(path.join(home, 'config.json'), JSON.stringify({ server: { maxUploadBytes: 100_000 } }));
  const { code, err } = await transcribe(home, ['-'], { input: wav(10) });
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('server.maxUploadBytes') });
});

test('a file name that begins with a dash is accepted after --', async () => {
  const home = homeWithAudio();
  writeFileSync(path.join(home, '-l.wav'), readFileSync(path.join(home, 'two.wav')));
  expect((await transcribe(home, ['--', '-l.wav', 'three.wav'])).lengths).toEqual(['2.0', '3.0']);
});

test.runIf(process.platform === 'linux')('a file name need not be valid text', async () => {
  const home = homeWithAudio();
  const shell = `cp two.wav "$(printf 'b\\344r.wav')" && "$@" b*.wav three.wav "$(printf 'w\\344r.wav')"`;
  const { code, lengths, err } = await transcribe(home, [], { shell });
  expect({ code, lengths }).toEqual({ code: 1, lengths: ['2.0', '3.0'] });
  expect(err).toContain('w\uFFFDr.wav does not exist.');
});

test.runIf(posix)('Ctrl-C during a transcription is no client that has disconnected', async () => {
  const home = homeWithAudio();
  const args = [...program, '--model', 'mock-slow', '--log-level', 'debug', path.join(home, 'two.wav')];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ASRPRO_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let err = '';
  child.stderr.on('data', (chunk) => {
    err += chunk;
    if (err.includes('model loaded') && !child.killed) child.kill('SIGINT');
  });
  expect((await once(child, 'close'))[0]).toBe(1);
  expect(err).toContain('asrpro: Stopped before all files were transcribed.');
  expect(err).not.toContain('disconnected');
});

test('an unknown model is named before a file is read, with the command that lists the models', async () => {
  const { code, err } = await transcribe(homeWithAudio(), ['--model', 'none-such', 'absent.wav']);
  expect(code).toBe(5);
  expect(err).toMatch(/'none-such' does not exist\.\n`asrpro models` lists/);
});
