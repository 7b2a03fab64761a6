import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { root } from './places.ts';
import { nodeModulesVersion, type Target } from './targets.ts';

/** A build of the addon, as its manifest describes it. */
interface Build {
  os: string;
  arch: string;
  abi: number;
  libc: string;
}

const ADDONS = 'node_modules/zeromq/build';
const libc = { linux: 'glibc', darwin: 'libc', win32: 'msvc' };

/**
 * The files of zeromq for the target: its JavaScript, the newest addon that the target's Node can load, and what its
 * loader reads.
 */
export function addonFiles(target: Target): string[] {
  const require = createRequire(import.meta.url);
  require('zeromq');
  const loaded = Object.keys(require.cache).map((file) => path.relative(root, file).replaceAll(path.sep, '/'));
  const scripts = loaded.filter((file) => file.startsWith('node_modules/') && file.endsWith('.js'));
  const read = ['node_modules/zeromq/package.json', `${ADDONS}/manifest.json`, 'node_modules/cmake-ts/package.json'];
  return [...scripts, ...read, addonOf(target)];
}

function addonOf({ platform, arch, triple }: Target): string {
  const manifest = JSON.parse(readFileSync(path.join(root, ADDONS, 'manifest.json'), 'utf8')) as Record<string, string>;
  const fitting = Object.entries(manifest)
    .map(([key, file]) => ({ build: JSON.parse(key) as Build, file: file.replaceAll('\\', '/') }))
    .filter(({ build }) => build.os === platform && build.arch === arch && build.libc === libc[platform])
    .filter(({ build }) => build.abi <= nodeModulesVersion)
    .sort((one, other) => other.build.abi - one.build.abi);
  if (fitting[0] === undefined) throw new Error(`zeromq has no addon for ${triple}`);
  return `${ADDONS}/${fitting[0].file}`;
}
