import { rmSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { execa } from 'execa';

export const root: string = path.dirname(import.meta.dirname);
export const dist: string = path.join(root, 'dist');

/** dist/asrpro.mjs, dist/client.mjs and their chunks: JavaScript that runs on Node 20 and needs no package but zeromq. */
export async function bundle(): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: { asrpro: 'src/main.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunk-[hash]',
    bundle: true,
    // Commands and rooms stay files of their own, so that a start reads only what it uses.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // A native addon; the other packages are bundled, which makes the start faster.
    external: ['zeromq'],
    legalComments: 'linked',
    logLevel: 'warning',
    // For the bundled CommonJS packages.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
    },
  });
  await bundleClient();
}

/** dist/client.mjs in one file that needs nothing but Node, and dist/client/*.d.ts for apps in TypeScript. */
async function bundleClient(): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: ['src/client/index.ts'],
    outfile: 'dist/client.mjs',
    ...{ bundle: true, format: 'esm', platform: 'node', target: 'node20', logLevel: 'warning' },
  });
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['--ignoreConfig', '--declaration', '--emitDeclarationOnly', '--rewriteRelativeImportExtensions'];
  const language = ['--target', 'es2024', '--module', 'nodenext', '--types', 'node', '--strict'];
  const where = ['--rootDir', 'src/client', '--outDir', 'dist/client'];
  await execa(process.execPath, [tsc, ...options, ...language, ...where, 'src/client/index.ts'], { cwd: root });
}
