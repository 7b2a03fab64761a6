import { createHash } from 'node:crypto';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';
import { execa } from 'execa';
import { UV_ASSET } from '../src/engines/uv-packed.ts';
import { addonFiles } from './addon.ts';
import { program } from './bundle.ts';
import { joined, licencesOf } from './licences.ts';
import { inPlaceOf, patched } from './patch.ts';
import { LICENCES, root } from './places.ts';
import { hostNode, nodeLicence } from './target-node.ts';
import { hostTarget, nodeVersion, type Target } from './targets.ts';
import { uvLicence, uvOf } from './uv.ts';

/** Files that the program reads at run time, besides its own JavaScript. */
const patterns = [
  'python-runtime/src/**/*.py',
  'python-runtime/locks/*.txt',
  'test/audio/english/jfk.flac',
  'package.json',
  'LICENSE',
];

/**
 * Builds the blob for the target's Node: the program as one file or as a snapshot of its heap, and the files that it reads.
 * V8 can make a snapshot only for the platform that it runs on. `uv`: include uv, for machines without a Python. Returns
 * the path of the blob, in `folder`.
 */
export async function makeStandalone(
  target: Target,
  folder: string,
  { snapshot = true, uv = true } = {},
): Promise<string> {
  const useSnapshot = snapshot && target === hostTarget();
  const node = await hostNode();
  const main = path.join(folder, 'program.cjs');
  const { metafile } = await build({
    ...program,
    entryPoints: [path.join(import.meta.dirname, useSnapshot ? 'snapshot.ts' : 'plain.ts')],
    outfile: main,
    target: 'node22',
    plugins: [
      ...program.plugins,
      fileFromExecutable,
      zeromqFromExecutable,
      ...(useSnapshot ? [await httpOnUse()] : []),
    ],
  });

  const files = [...patterns.flatMap((pattern) => globSync(pattern, { cwd: root })), ...addonFiles(target)];
  const assets = Object.fromEntries(files.map((file) => [file.replaceAll('\\', '/'), path.join(root, file)]));
  const licences = path.join(folder, LICENCES);
  const texts = await licencesOfAll([...Object.keys(metafile.inputs), ...files]);
  writeFileSync(licences, uv ? joined([texts, await uvLicence(target)]) : texts);
  assets[LICENCES] = licences;
  const inventory = path.join(folder, 'inventory.json');
  writeFileSync(inventory, JSON.stringify(inventoryOf(assets)));

  const output = path.join(folder, 'program.blob');
  const config = path.join(folder, 'sea.json');
  const disableExperimentalSEAWarning = true;
  // uv is not in the inventory, because it is read on demand instead of being unpacked with the other files.
  const packed = uv ? { [UV_ASSET]: await uvOf(target) } : {};
  const sea = { main, output, disableExperimentalSEAWarning, useSnapshot, assets: { ...assets, inventory, ...packed } };
  writeFileSync(config, JSON.stringify(sea));
  await execa(node, ['--experimental-sea-config', config]);
  return output;
}

/**
 * Licences of the npm packages, of libsodium, which is compiled into zeromq's addon but not named in its package, and of
 * Node.
 */
async function licencesOfAll(files: string[]): Promise<string> {
  const sodium = readFileSync(path.join(import.meta.dirname, 'libsodium-license.txt'), 'utf8');
  return joined([licencesOf(files), sodium, `Node.js ${nodeVersion}\n\n${await nodeLicence()}`]);
}

function inventoryOf(assets: Record<string, string>): { hash: string; files: string[] } {
  const files = Object.keys(assets).sort();
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(readFileSync(assets[file]!));
  return { hash: hash.digest('hex').slice(0, 16), files };
}

const unpack = JSON.stringify(path.join(import.meta.dirname, 'unpack.ts'));

/** In the executable, the files of the package come from its assets, and zeromq is loaded from the unpacked files. */
const fileFromExecutable = patched('file-from-executable', [
  { file: /src[\\/]package-files\.ts$/, change: () => `export { packageFile } from ${unpack};` },
]);
const zeromqFromExecutable = inPlaceOf(
  /^zeromq$/,
  `const { createRequire } = require('node:module');
   const { packageFile } = require(${unpack});
   module.exports = createRequire(packageFile('package.json'))('zeromq');`,
);

/**
 * Replaces Node's http module, which no snapshot can contain, with one that loads it on first use. Its tables are available
 * earlier, and at build time `createServer` returns a bare event emitter. Names and tables come from the Node inside the
 * executable, which has another version than the Node that builds it.
 */
async function httpOnUse(): Promise<Plugin> {
  const question = "const h = require('http'); JSON.stringify([h.METHODS, h.STATUS_CODES, Object.keys(h)])";
  const { stdout } = await execa(await hostNode(), ['-p', question]);
  const [METHODS, STATUS_CODES, names] = JSON.parse(stdout) as [string[], Record<string, string>, string[]];
  return inPlaceOf(
    /^(node:)?http$/,
    `const { startupSnapshot } = require('node:v8');
     const { EventEmitter } = require('node:events');
     const tables = ${JSON.stringify({ METHODS, STATUS_CODES })};
     const server = () => Object.assign(new EventEmitter(), { setTimeout() {} });
     const early = { ...tables, createServer: server };
     const http = () => (startupSnapshot.isBuildingSnapshot() ? early : process.getBuiltinModule('node:http'));
     for (const name of ${JSON.stringify(names)})
       Object.defineProperty(exports, name, { enumerable: true, get: () => tables[name] ?? http()[name] });`,
  );
}
