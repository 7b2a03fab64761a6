import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  clusterEngine,
  engineIds,
  enginesIn,
  environmentIds,
  environmentRow,
  whyNotHere,
} from '../src/engine-table.ts';
import { checkout } from './setup/checkout.ts';

/** The table itself, the recognisers that it needs, and files of data or generated files. */
const mayName = ['engine-table.ts', 'models/recognise.ts', 'models/catalogue.json', 'client/api-types.ts'];

test('no other file names an engine or an environment', () => {
  const source = path.join(checkout, 'src');
  // `cluster` is also a section of the configuration and a message.
  const names = [...engineIds, clusterEngine.id, ...environmentIds.filter((id) => id !== clusterEngine.environment)];
  const name = new RegExp(`['"\`](?:${names.join('|')})['"\`]`);
  const naming = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll(path.sep, '/'))
    .filter((file) => file.endsWith('.ts') && !mayName.includes(file))
    .filter((file) => name.test(readFileSync(path.join(source, file), 'utf8')));
  expect(naming).toEqual([]);
});

test('every environment has its lock files, and every engine belongs to an environment', () => {
  for (const id of environmentIds)
    for (const lock of Object.keys(environmentRow(id).locks))
      expect(readFileSync(path.join(checkout, 'python-runtime', 'locks', `${lock}.txt`), 'utf8')).toContain('==');
  for (const id of environmentIds) expect(enginesIn(id), id).not.toEqual([]);
});

test('an environment that exists only for some systems says so in one sentence', () => {
  expect(whyNotHere('cluster', { platform: 'linux', arch: 'arm64' })).toBeNull();
  expect(whyNotHere('core', { platform: 'win32', arch: 'x64' })).toBeNull();
  expect(whyNotHere('cluster', { platform: 'darwin', arch: 'arm64' })).toMatch(/^[^.]*darwin-arm64\.$/);
});
