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

/** Parts of packages that every start would run and nothing uses. */
const withoutUnused: Plugin = {
  name: 'without-unused',
  setup({ onLoad }) {
    // Error texts in fifty languages.
    onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      resolveDir: path.join(root, 'node_modules/zod/v4/locales'),
    }));
    // pino looks for the file that called it, where it would look for a transport: there is none.
    onLoad({ filter: /pino[\\/]lib[\\/]caller\.js$/ }, () => ({ contents: 'module.exports = () => [];' }));
    // fastify compares versions of plugins, of which there are none, and can speak TLS and HTTP/2.
    onLoad({ filter: /fastify[\\/]lib[\\/](plugin-utils|server)\.js$/ }, async ({ path: file }) => ({
      contents: (await readFile(file, 'utf8')).replace(/require\('(semver|node:https|node:http2)'\)/g, 'undefined'),
    }));
  },
};

/**
 * CommonJS in one file, in which every module still runs when it is first wanted; the names stay, for stack traces.
 */
export const program = {
  ...common,
  format: 'cjs',
  minifyWhitespace: true,
  minifySyntax: true,
  supported: { 'dynamic-import': false },
  plugins: [withoutUnused],
} satisfies BuildOptions;

/** Of the package, where zeromq is a package too: a native addon. */
const packageProgram: BuildOptions = {
  ...program,
  external: ['zeromq'],
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
};

/** dist/asrpro.cjs, dist/program.cjs and dist/client.mjs. */
export async function bundle(): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  const entry = { entryPoints: ['src/main.ts'], outfile: 'dist/asrpro.cjs', plugins: [programApart] };
  await build({ ...packageProgram, ...entry });
  await build({ ...packageProgram, entryPoints: ['src/cli/run.ts'], outfile: 'dist/program.cjs' });
  await bundleClient();
}

/** The entry switches the cache of compiled code on, which holds for files that are read later. */
const programApart: Plugin = {
  name: 'program-apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/cli\/run\.ts$/ }, () => ({ path: './program.cjs', external: true }));
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
