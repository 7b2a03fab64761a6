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

/** What the program reads at run time, beside its own JavaScript. */
const patterns = [
  'python-runtime/src/**/*.py',
  'python-runtime/locks/*.txt',
  'test/audio/english/jfk.flac',
  'package.json',
  'LICENSE',
];

/**
 * What goes into the target's Node: the program in one file, or the heap after it has loaded, and the files it reads.
 * A heap can be kept for this machine only, with which it is made. `uv`: with the program that brings a Python where there is
 * none. Returns the file, in the folder.
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
  const own = await licencesOfAll([...Object.keys(metafile.inputs), ...files]);
  writeFileSync(licences, uv ? joined([own, await uvLicence(target)]) : own);
  assets[LICENCES] = licences;
  const inventory = path.join(folder, 'inventory.json');
  writeFileSync(inventory, JSON.stringify(inventoryOf(assets)));

  const output = path.join(folder, 'program.blob');
  const config = path.join(folder, 'sea.json');
  const disableExperimentalSEAWarning = true;
  // Not in the inventory: it is read where it is needed, and not unpacked with the others.
  const packed = uv ? { [UV_ASSET]: await uvOf(target) } : {};
  const sea = { main, output, disableExperimentalSEAWarning, useSnapshot, assets: { ...assets, inventory, ...packed } };
  writeFileSync(config, JSON.stringify(sea));
  await execa(node, ['--experimental-sea-config', config]);
  return output;
}

/** Of the npm packages, of what zeromq's addon was compiled with and its package does not name, and of Node. */
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

/** Files of the package are unpacked first, and zeromq is loaded from there. */
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
 * Node's http holds what no snapshot can keep: it is loaded when the program makes a server. Its tables are looked at
 * earlier, and while the snapshot is made a server is nothing but what has listeners. Names and tables are those of the
 * Node inside the executable, which is another than the one that builds it.
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
