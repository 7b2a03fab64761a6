import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from './setup/checkout.ts';

/** Rooms of src/, highest first (docs/architecture.md). A room imports only from lower layers, also types. */
const layers = [
  ['main', 'bootstrap', 'client'],
  ['cli'],
  ['app'],
  ['closing'],
  ['http'],
  ['transcription'],
  ['residency'],
  ['mock', 'cluster'],
  ['downloads', 'devices'],
  ['models', 'engines', 'worker'],
  ['wire', 'jobs'],
  ['log'],
  ['config', 'network'],
  ['certificates', 'disk-error', 'python-environment'],
  ['errors', 'version', 'package-files', 'claims', 'engine-table'],
];

const source = path.join(checkout, 'src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll(path.sep, '/'))
  .filter((file) => /\.m?ts$|\.mjs$/.test(file));

/** Files in src/ that a file imports, statically or dynamically. With `types`, also files that it imports only types from. */
function importsOf(file: string, types: boolean): string[] {
  const text = readFileSync(path.join(source, file), 'utf8');
  const found = [...text.matchAll(/^(?:import|export) (type )?[^;]*?from '(\.[^']+)'|import\('(\.[^']+)'\)/gm)];
  return found
    .filter(([, type]) => types || type === undefined)
    .map(([, , fixed, dynamic]) => path.posix.join(path.posix.dirname(file), (fixed ?? dynamic)!))
    .filter((target) => !target.startsWith('..'));
}

function roomOf(file: string): string {
  return file.split('/')[0]!.replace(/\.m?[jt]s$/, '');
}

function layerOf(file: string): number {
  const layer = layers.findIndex((rooms) => rooms.includes(roomOf(file)));
  expect(layer, `${file} belongs to no layer of this test`).toBeGreaterThanOrEqual(0);
  return layer;
}

test('imports, also of types, go from higher layers to lower ones', () => {
  expect(files.length).toBeGreaterThan(150);
  const wrong = files.flatMap((file) =>
    importsOf(file, true)
      .filter((target) => layerOf(target) <= layerOf(file) && roomOf(target) !== roomOf(file))
      .map((target) => `${file} -> ${target}`),
  );
  expect(wrong).toEqual([]);
});

test('the client imports no other room, because apps get it alone', () => {
  const own = files.filter((file) => roomOf(file) === 'client');
  expect(own.flatMap((file) => importsOf(file, true)).filter((target) => roomOf(target) !== 'client')).toEqual([]);
});

test('no file imports itself through other files', () => {
  const done = new Set<string>();
  const visit = (file: string, way: string[]): void => {
    expect(way, `${[...way, file].join(' -> ')}`).not.toContain(file);
    if (done.has(file)) return;
    for (const target of importsOf(file, false)) visit(target, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});
