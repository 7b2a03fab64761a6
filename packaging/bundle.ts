import { rmSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

export const root: string = path.dirname(import.meta.dirname);
export const dist: string = path.join(root, 'dist');

/** dist/asrpro.mjs and its chunks: JavaScript that runs on Node 20 and needs no package but zeromq. */
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
}
