import { readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { checkout } from './setup/checkout.ts';

/**
 * Rooms of src/, highest first (docs/architecture.md). A room imports from lower layers; rooms of one layer share types
 * only, and app.ts connects them.
 */
const layers = [
  ['main'],
  ['cli'],
  ['app'],
  ['http'],
  ['transcription'],
  ['residency'],
  ['downloads', 'mock'],
  ['models', 'engines', 'devices', 'worker'],
  ['wire', 'jobs'],
  ['log'],
  ['config', 'network'],
  ['certificates', 'disk-error', 'python-environment'],
  ['errors', 'version', 'package-files', 'claims'],
];

/** What runs imports what that runs, static and dynamic; imports of types are gone. Keys and values like `cli/run.ts`. */
async function valueImports(): Promise<Map<string, string[]>> {
  const { metafile } = await build({
    entryPoints: [path.join(checkout, 'src/main.ts')],
    absWorkingDir: path.join(checkout, 'src'),
    ...{ bundle: true, metafile: true, write: false, outdir: 'unused', packages: 'external', platform: 'node' },
    ...{ format: 'esm', target: 'node20', logLevel: 'silent' },
  });
  const ours = Object.entries(metafile.inputs).filter(([file]) => !file.startsWith('..'));
  return new Map(
    ours.map(([file, { imports }]) => [
      file,
      imports.filter((one) => !one.external && !one.path.startsWith('..')).map((one) => one.path),
    ]),
  );
}

/** All relative imports of a file, those of types included. */
function allImports(file: string): string[] {
  const source = readFileSync(path.join(checkout, 'src', file), 'utf8');
  return [...source.matchAll(/(?:from|import\() ?'(\.[^']+)'/g)]
    .map(([, specifier]) => path.posix.join(path.posix.dirname(file), specifier!))
    .filter((target) => !target.startsWith('..'));
}

function roomOf(file: string): string {
  return file.split('/')[0]!.replace(/\.ts$/, '');
}

function layerOf(file: string): number {
  const layer = layers.findIndex((rooms) => rooms.includes(roomOf(file)));
  expect(layer, `${file} belongs to no layer of this test`).toBeGreaterThanOrEqual(0);
  return layer;
}

const graph = await valueImports();

test('imports go one way', () => {
  const wrong: string[] = [];
  for (const [file, targets] of graph) {
    const sideways = targets.filter((target) => layerOf(target) === layerOf(file) && roomOf(target) !== roomOf(file));
    const upwards = allImports(file).filter((target) => layerOf(target) < layerOf(file));
    wrong.push(...[...sideways, ...upwards].map((target) => `${file} -> ${target}`));
  }
  expect(wrong).toEqual([]);
});

test('no file imports itself over others', () => {
  const done = new Set<string>();
  const visit = (file: string, way: string[]): void => {
    expect(way, `${[...way, file].join(' -> ')}`).not.toContain(file);
    if (done.has(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...way, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
});
