import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from '../setup/checkout.ts';

const text = (file: string): string => readFileSync(path.join(checkout, file), 'utf8');

/** `3.2` -> the text of the rule, from the nested list of the page. */
function documentedRules(): Record<string, string> {
  const [, list = ''] = /^The rules of `decide`.*\n\n((?: *\d+\. .*\n)+)/m.exec(text('docs/architecture.md')) ?? [];
  const rules: Record<string, string> = {};
  let parent = '';
  for (const [, indent, number, rule] of list.matchAll(/^( *)(\d+)\. (.*)$/gm)) {
    if (indent === '') parent = number!;
    rules[indent === '' ? number! : `${parent}.${number}`] = rule!;
  }
  return rules;
}

test('every rule of the decision tree is the same sentence in docs/architecture.md and beside its code', () => {
  const comments = [...text('src/residency/decide.ts').matchAll(/^\s*\/\/ (\d+(?:\.\d+)?) (.+)$/gm)];
  const inCode = Object.fromEntries(comments.map(([, number, rule]) => [number!, rule!]));
  expect(Object.keys(inCode)).toHaveLength(comments.length);
  expect(documentedRules()).toEqual(inCode);
  expect(comments.length).toBeGreaterThan(30);
});

test('the tests of the machine name rules that exist', () => {
  const titles = [...text('test/residency/machine.test.ts').matchAll(/\((\d(?:\.\d)?(?:, \d(?:\.\d)?)*)\)'/g)];
  const rules = documentedRules();
  for (const [, numbers] of titles) for (const number of numbers!.split(', ')) expect(rules).toHaveProperty([number]);
  expect(titles.length).toBeGreaterThan(10);
});
