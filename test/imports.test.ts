import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from './setup/checkout.ts';

/** Rooms of src/ and the number of their layer, from docs/architecture.md. A room imports from higher numbers only. */
const layers = new Map(
  [...readFileSync(path.join(checkout, 'docs', 'architecture.md'), 'utf8').matchAll(/^ ?(\d+) {2}([\w-]+)[/.]/gm)].map(
    ([, layer, room]) => [room!, Number(layer)],
  ),
);

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
  const layer = layers.get(roomOf(file));
  if (layer === undefined) throw new Error(`${file} belongs to no room of docs/architecture.md`);
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

test('docs/architecture.md lists the rooms that exist', () => {
  expect([...layers.keys()].sort()).toEqual([...new Set(files.map(roomOf))].sort());
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
