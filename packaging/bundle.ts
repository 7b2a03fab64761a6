import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { execa } from 'execa';
import { licencesOf } from './licences.ts';
import { patched } from './patch.ts';
import { dist, LICENCES, root } from './places.ts';

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
} satisfies BuildOptions;

/** Parts of packages that every start would run and nothing uses. */
const withoutUnused = patched('without-unused', [
  // Error texts in fifty languages.
  { file: /zod[\\/]v4[\\/]locales[\\/]index\.js$/, change: onlyEnglish },
  // pino looks for the file that called it, where it would look for a transport: there is none.
  {
    file: /pino[\\/]lib[\\/]caller\.js$/,
    change: (source) => replaced(source, /^.*getCallSites.*$/s, 'module.exports = () => [];'),
  },
  // fastify compares versions of plugins, of which there are none, and can speak TLS and HTTP/2.
  { file: /fastify[\\/]lib[\\/]plugin-utils\.js$/, change: (source) => without(source, 'semver') },
  {
    file: /fastify[\\/]lib[\\/]server\.js$/,
    change: (source) => without(without(source, 'node:https'), 'node:http2'),
  },
]);

function onlyEnglish(source: string): string {
  const [line] = /^export \{ default as en \}.*$/m.exec(source) ?? [];
  if (line === undefined) throw new Error('zod no longer exports its English texts as `en`');
  return line;
}

function without(source: string, module: string): string {
  return replaced(source, `require('${module}')`, 'undefined');
}

function replaced(source: string, what: string | RegExp, by: string): string {
  const result = source.replace(what, by);
  if (result === source) throw new Error(`a patched package no longer contains ${what}`);
  return result;
}

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
const packageProgram = {
  ...program,
  external: ['zeromq'],
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
} satisfies BuildOptions;

/** dist/asrpro.cjs, dist/program.cjs and dist/client.mjs, with the licences of what is in them. */
export async function bundle(): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  const entry = { entryPoints: ['src/main.ts'], outfile: 'dist/asrpro.cjs', plugins: [programApart] };
  const bundles = [
    await build({ ...packageProgram, ...entry }),
    await build({ ...packageProgram, entryPoints: ['src/cli/run.ts'], outfile: 'dist/program.cjs' }),
    await build({ ...common, entryPoints: ['src/client/index.ts'], outfile: 'dist/client.mjs', format: 'esm' }),
  ];
  await describeClient();
  const files = bundles.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  writeFileSync(path.join(dist, LICENCES), licencesOf(files));
}

/** The entry switches the cache of compiled code on, which holds for files that are read later. */
const programApart: Plugin = {
  name: 'program-apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/cli\/run\.ts$/ }, () => ({ path: './program.cjs', external: true }));
  },
};

/** dist/client/*.d.ts, for apps in TypeScript. */
async function describeClient(): Promise<void> {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['--ignoreConfig', '--declaration', '--emitDeclarationOnly', '--rewriteRelativeImportExtensions'];
  const language = ['--target', 'es2024', '--module', 'nodenext', '--types', 'node', '--strict'];
  const where = ['--rootDir', 'src/client', '--outDir', 'dist/client'];
  await execa(process.execPath, [tsc, ...options, ...language, ...where, 'src/client/index.ts'], { cwd: root });
}
