import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { execa } from 'execa';

export const root: string = path.dirname(import.meta.dirname);
export const dist: string = path.join(root, 'dist');

const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  legalComments: 'linked',
  logLevel: 'warning',
};

/**
 * CommonJS in one file, in which every module still runs when it is first wanted: on one start that is a third less work
 * than with one file a module, and the names stay, for stack traces.
 */
const program: BuildOptions = {
  ...common,
  format: 'cjs',
  minifyWhitespace: true,
  minifySyntax: true,
  supported: { 'dynamic-import': false },
  // A native addon; the other packages are bundled.
  external: ['zeromq'],
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
};

/** What the program is made of: JavaScript that runs on Node 20 and needs no package but zeromq. */
export const programFiles: readonly string[] = ['dist/asrpro.cjs', 'dist/program.cjs'];

/** dist/asrpro.cjs, dist/program.cjs and dist/client.mjs. */
export async function bundle(): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  await build({ ...program, entryPoints: ['src/main.ts'], outfile: 'dist/asrpro.cjs', plugins: [programApart] });
  await build({ ...program, entryPoints: ['src/cli/run.ts'], outfile: 'dist/program.cjs', plugins: [withoutUnused] });
  await bundleClient();
}

/** The entry switches the cache of compiled code on, which holds for files that are read later. */
const programApart: Plugin = {
  name: 'program-apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/cli\/run\.ts$/ }, () => ({ path: './program.cjs', external: true }));
  },
};

/** Parts of packages that every start would run and nothing uses. */
const withoutUnused: Plugin = {
  name: 'without-unused',
  setup({ onLoad }) {
    // Error texts in fifty languages.
    onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      resolveDir: path.join(root, 'node_modules/zod/v4/locales'),
    }));
    // fastify compares versions of plugins, of which there are none, and can speak TLS and HTTP/2.
    onLoad({ filter: /fastify[\\/]lib[\\/](plugin-utils|server)\.js$/ }, async ({ path: file }) => ({
      contents: (await readFile(file, 'utf8')).replace(/require\('(semver|node:https|node:http2)'\)/g, 'undefined'),
    }));
  },
};

/** dist/client.mjs in one file that needs nothing but Node, and dist/client/*.d.ts for apps in TypeScript. */
async function bundleClient(): Promise<void> {
  await build({ ...common, entryPoints: ['src/client/index.ts'], outfile: 'dist/client.mjs', format: 'esm' });
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['--ignoreConfig', '--declaration', '--emitDeclarationOnly', '--rewriteRelativeImportExtensions'];
  const language = ['--target', 'es2024', '--module', 'nodenext', '--types', 'node', '--strict'];
  const where = ['--rootDir', 'src/client', '--outDir', 'dist/client'];
  await execa(process.execPath, [tsc, ...options, ...language, ...where, 'src/client/index.ts'], { cwd: root });
}
