import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { AsrproError, type ErrorKind, errorKinds } from '../../src/errors.ts';
import { errorsFile, withErrorTable } from './generated.ts';

const page = readFileSync(errorsFile, 'utf8');

test('docs/errors.md matches the catalogue (npm run schema)', () => {
  expect(page).toBe(withErrorTable(page));
});

test('the table has every code exactly once, and no unknown code', () => {
  const documented = [...page.matchAll(/^\| `(\w+)`/gm)].map(([, code]) => code);
  expect(documented.sort()).toEqual(Object.keys(errorKinds).sort());
});

test('no error has a status that makes the SDKs send the upload again', () => {
  for (const [code, { status }] of Object.entries<ErrorKind>(errorKinds)) {
    expect([408, 409, 422, 429].includes(status) || (status >= 300 && status < 400), code).toBe(false);
  }
});

test.each([
  [0.2, 1],
  [4.1, 5],
  [300, 60],
])('a retry after %d s is announced as %d s', (given, announced) => {
  expect(new AsrproError('queue_full', '', { retryAfterSeconds: given }).retryAfterSeconds).toBe(announced);
});
