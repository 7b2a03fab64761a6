import { createHash } from 'node:crypto';
import { copyFileSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';
import { execa } from 'execa';
import { dist, program, root } from './bundle.ts';

/** Names that Tauri and Rust give to platforms. */
const triples: Record<string, string> = {
  'linux x64': 'x86_64-unknown-linux-gnu',
  'linux arm64': 'aarch64-unknown-linux-gnu',
  'darwin x64': 'x86_64-apple-darwin',
  'darwin arm64': 'aarch64-apple-darwin',
  'win32 x64': 'x86_64-pc-windows-msvc',
  'win32 arm64': 'aarch64-pc-windows-msvc',
};

/** What the program reads at run time, beside its own JavaScript. */
const patterns = [
  'python-runtime/src/**/*.py',
  'python-runtime/locks/*.txt',
  'test/audio/english/jfk.flac',
  'package.json',
];

/** Makes dist/asrpro-TRIPLE out of the bundled program and the Node that runs this. Returns its path. */
export async function buildBinary(): Promise<string> {
  const triple = triples[`${process.platform} ${process.arch}`];
  if (triple === undefined) throw new Error(`no executable for ${process.platform} ${process.arch}`);
  const target = path.join(dist, `asrpro-${triple}${process.platform === 'win32' ? '.exe' : ''}`);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-build-'));
  try {
    const blob = await makeBlob(folder);
    copyFileSync(process.execPath, target);
    // The signature of the copied Node does not fit any more; without one macOS starts nothing.
    if (process.platform === 'darwin') await execa('codesign', ['--remove-signature', target]);
    await inject(target, blob);
    if (process.platform === 'darwin') await execa('codesign', ['--sign', '-', target]);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return target;
}

/** The heap after the main script has run, and all files, as Node wants them inside the executable. */
async function makeBlob(folder: string): Promise<string> {
  const main = path.join(folder, 'program.cjs');
  await build({
    ...program,
    entryPoints: [path.join(import.meta.dirname, 'snapshot.ts')],
    outfile: main,
    target: 'node24',
    plugins: [...program.plugins, fromExecutable, httpOnUse],
  });
  const files = [...patterns.flatMap((pattern) => globSync(pattern, { cwd: root })), ...addonFiles()].sort();
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(readFileSync(path.join(root, file)));
  const inventory = path.join(folder, 'inventory.json');
  writeFileSync(inventory, JSON.stringify({ hash: hash.digest('hex').slice(0, 16), files }));
  const blob = path.join(folder, 'program.blob');
  const config = path.join(folder, 'sea.json');
  const assets = Object.fromEntries(files.map((file) => [file, path.join(root, file)]));
  writeFileSync(
    config,
    JSON.stringify({
      main,
      output: blob,
      disableExperimentalSEAWarning: true,
      useSnapshot: true,
      assets: { ...assets, inventory },
    }),
  );
  await execa(process.execPath, ['--experimental-sea-config', config]);
  return blob;
}

/** Files of the package are unpacked first, and zeromq is loaded from there. */
const fromExecutable: Plugin = {
  name: 'from-executable',
  setup({ onLoad, onResolve }) {
    const unpack = path.join(import.meta.dirname, 'unpack.ts');
    onLoad({ filter: /src[\\/]package-files\.ts$/ }, () => ({
      contents: `export { packageFile } from ${JSON.stringify(unpack)};`,
      resolveDir: root,
    }));
    onResolve({ filter: /^zeromq$/ }, () => ({ path: 'zeromq', namespace: 'unpacked' }));
    onLoad({ filter: /.*/, namespace: 'unpacked' }, () => ({
      contents: `
        const { createRequire } = require('node:module');
        const { packageFile } = require(${JSON.stringify(unpack)});
        module.exports = createRequire(packageFile('package.json'))('zeromq');`,
      resolveDir: root,
    }));
  },
};

/**
 * Node's http holds what no snapshot can keep: it is loaded when the program makes a server. Its tables are looked at
 * earlier, and while the snapshot is made a server is nothing but what has listeners.
 */
const httpOnUse: Plugin = {
  name: 'http-on-use',
  setup({ onLoad, onResolve }) {
    const { METHODS, STATUS_CODES } = http;
    const names = Object.keys(http);
    onResolve({ filter: /^(node:)?http$/ }, () => ({ path: 'http', namespace: 'on-use' }));
    onLoad({ filter: /.*/, namespace: 'on-use' }, () => ({
      contents: `
        const { startupSnapshot } = require('node:v8');
        const { EventEmitter } = require('node:events');
        const tables = ${JSON.stringify({ METHODS, STATUS_CODES })};
        const server = () => Object.assign(new EventEmitter(), { setTimeout() {} });
        const early = { ...tables, createServer: server };
        const http = () => (startupSnapshot.isBuildingSnapshot() ? early : process.getBuiltinModule('node:http'));
        for (const name of ${JSON.stringify(names)})
          Object.defineProperty(exports, name, { enumerable: true, get: () => tables[name] ?? http()[name] });`,
    }));
  },
};

/** What zeromq loads in this Node, its addon for this platform included, and what its loader reads. */
function addonFiles(): string[] {
  const require = createRequire(import.meta.url);
  require('zeromq');
  const loaded = Object.keys(require.cache).map((file) => path.relative(root, file).replaceAll(path.sep, '/'));
  const read = ['zeromq/package.json', 'zeromq/build/manifest.json', 'cmake-ts/package.json'];
  return [...loaded.filter((file) => file.startsWith('node_modules/')), ...read.map((file) => `node_modules/${file}`)];
}

async function inject(target: string, blob: string): Promise<void> {
  const postject = path.join(root, 'node_modules', 'postject', 'dist', 'cli.js');
  const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
  const segment = process.platform === 'darwin' ? ['--macho-segment-name', 'NODE_SEA'] : [];
  await execa(process.execPath, [postject, target, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', fuse, ...segment]);
}
