import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { sampleCall } from '../../src/cli/sample-call.ts';

/** The arguments that a shell passes to curl. */
function argumentsOf(call: string): string[] {
  const listing = call.replace(/^curl/, "printf '%s\\0'");
  return execFileSync('bash', ['-c', listing], { env: { ASRPRO_SERVER_API_KEY: 'key' } })
    .toString()
    .split('\0')
    .slice(0, -1);
}

test('the call for a common path is as short as a person would write it', () => {
  expect(sampleCall('http://127.0.0.1:8277', 'test/audio/jfk.flac', false)).toBe(
    'curl http://127.0.0.1:8277/v1/audio/transcriptions -F file=@test/audio/jfk.flac -F response_format=text',
  );
});

test.runIf(process.platform !== 'win32').each([
  ['../My Projects/a.flac', 'file=@"../My Projects/a.flac"'],
  ["it's $HOME/`x`.flac", 'file=@"it\'s $HOME/`x`.flac"'],
  ['a;b,"c".flac', 'file=@"a;b,\\"c\\".flac"'],
  ['größe.flac', 'file=@"größe.flac"'],
])('the call for %s works when it is pasted', (file, expected) => {
  const args = argumentsOf(sampleCall('http://127.0.0.1:1', file, true));
  expect(args).toEqual([
    ...['http://127.0.0.1:1/v1/audio/transcriptions', '-H', 'Authorization: Bearer key'],
    ...['-F', expected, '-F', 'response_format=text'],
  ]);
});
