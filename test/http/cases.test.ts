import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from '../setup/checkout.ts';

/** Number of cases of the OpenAI contract. The title of a test begins with the numbers of the cases that it covers. */
const CASES = 107;

test('every numbered case of the contract has a test', () => {
  const files = globSync(['test/http/*.test.ts', 'test/sdk/*.test.ts'], { cwd: checkout });
  const covered = new Set<number>();
  for (const file of files) {
    const source = readFileSync(path.join(checkout, file), 'utf8');
    for (const [, numbers] of source.matchAll(/'(\d+(?:(?:, | to )\d+)*): /g)) {
      for (const part of numbers!.split(', ')) {
        const [first, last = first] = part.split(' to ').map(Number);
        for (let number = first!; number <= last!; number += 1) covered.add(number);
      }
    }
  }
  const missing = Array.from({ length: CASES }, (_, index) => index + 1).filter((number) => !covered.has(number));
  expect(missing).toEqual([]);
});
