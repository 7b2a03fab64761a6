/** `npm run build`: dist/asrpro.mjs and its chunks, JavaScript that runs on Node 20 and needs no package but zeromq. */
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: { asrpro: 'src/main.ts' },
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunks-[name]-[hash]',
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
  banner: {
    js: "import { createRequire as asrproRequire } from 'node:module';\nconst require = asrproRequire(import.meta.url);",
  },
});
