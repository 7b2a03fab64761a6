import { describe, expect, it, test, vi } from 'vitest';
import { judgeExit, publicWords } from '../../src/worker/exit.ts';
import { groupLives, stage } from '../residency/stage.ts';

const exit = (signal: NodeJS.Signals | null, lastWords = '') => ({
  code: signal === null ? 1 : null,
  signal,
  lastWords,
});

describe('the end of a worker', () => {
  it.each([
    ['our own kill, although the kernel has killed others for memory', exit('SIGKILL'), true, true, 'us', false],
    [
      'our own kill of a worker that reported a MemoryError before',
      exit('SIGKILL', 'MemoryError'),
      true,
      false,
      'us',
      false,
    ],
    ['a kill by the kernel for lack of memory', exit('SIGKILL'), false, true, 'outside', true],
    ['a kill by another program', exit('SIGKILL'), false, false, 'outside', false],
    ['a crash', exit('SIGSEGV'), false, true, 'itself', false],
    ['an allocation that failed', exit('SIGABRT', 'std::bad_alloc'), false, false, 'itself', true],
    ['an exit', exit(null), false, true, 'itself', false],
  ] as const)('%s', (_name, facts, signalled, grown, endedBy, outOfMemory) => {
    expect(judgeExit(facts, signalled, () => grown)).toMatchObject({ endedBy, outOfMemory });
  });
});

test.each([
  [
    'Traceback\n  File "/x/y.py"\nModuleNotFoundError: No module named \'ctranslate2\'',
    "ModuleNotFoundError: No module named 'ctranslate2'",
  ],
  ["OSError: cannot open '/home/some one/models/whisper/model.bin'", "OSError: cannot open 'model.bin'"],
  ['cannot open C:\\Users\\me\\AppData\\lib.dll', 'cannot open lib.dll'],
  ['401 for hf_abcdefghijklmnopqrstuvwxyz0123456789', '401 for …'],
  ['x '.repeat(300), `${'x '.repeat(100)}…`],
  ['', ''],
])('the output %j is reported as %j', (words, told) => {
  expect(publicWords(words)).toBe(told);
});

test('no signal goes to the process group of a worker that has ended', async () => {
  const current = stage('crash-at-start');
  const handle = await current.startHandle();
  await handle.exited;
  await vi.waitFor(() => expect(groupLives(handle.pid!)).toBe(false));
  const kill = vi.spyOn(process, 'kill');
  handle.signal('SIGKILL');
  expect(kill).not.toHaveBeenCalled();
  kill.mockRestore();
  await current[Symbol.asyncDispose]();
});
