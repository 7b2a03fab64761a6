import { createHash } from 'node:crypto';
import { copyFileSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { execa } from 'execa';
import { dist, programFiles, root } from './bundle.ts';

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
  ...programFiles,
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

/** The main script and all files, as Node wants them inside the executable. */
async function makeBlob(folder: string): Promise<string> {
  const main = path.join(folder, 'unpack.cjs');
  await build({
    entryPoints: [path.join(import.meta.dirname, 'unpack.ts')],
    outfile: main,
    ...{ bundle: true, format: 'cjs', platform: 'node', target: 'node24', logLevel: 'warning' },
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
      assets: { ...assets, inventory },
    }),
  );
  await execa(process.execPath, ['--experimental-sea-config', config]);
  return blob;
}

/** zeromq with its addon for this platform, and the packages that it loads. */
function addonFiles(): string[] {
  const addon = `node_modules/zeromq/build/${process.platform}/${process.arch}/**/addon.node`;
  return [
    ...globSync('node_modules/zeromq/{package.json,lib/**/*.js,build/manifest.json}', { cwd: root }),
    ...globSync(addon, { cwd: root }),
    ...globSync('node_modules/cmake-ts/{package.json,build/loader.js}', { cwd: root }),
  ].filter((file) => statSync(path.join(root, file)).isFile());
}

async function inject(target: string, blob: string): Promise<void> {
  const postject = path.join(root, 'node_modules', 'postject', 'dist', 'cli.js');
  const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
  const segment = process.platform === 'darwin' ? ['--macho-segment-name', 'NODE_SEA'] : [];
  await execa(process.execPath, [postject, target, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', fuse, ...segment]);
}
