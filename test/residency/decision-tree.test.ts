import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from '../setup/checkout.ts';

const text = (file: string): string => readFileSync(path.join(checkout, file), 'utf8');

test('docs/architecture.md and the code have the same decision tree, and the code has the numbers of its rules', () => {
  const code = text('src/residency/decide.ts');
  const [, tree = ''] = /( \* 1\. What [\s\S]*?) \*\/\nexport function decide/.exec(code) ?? [];
  const lines = tree
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^ \* ?/, ''));
  expect(text('docs/architecture.md')).toContain(lines.join('\n'));
  let rule = '';
  for (const line of lines) {
    const [, indent, number] = /^(\s*)(\d+)\. /.exec(line) ?? [];
    if (number === undefined) continue;
    if (indent === '') rule = number;
    const name = indent === '' ? number : `${rule}.${number}`;
    expect(code, `a line for rule ${name}`).toMatch(new RegExp(`// ${name.replace('.', '\\.')}\\b`));
  }
});
