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

/** Removes parts of packages that every start would load and asrpro does not use. */
const withoutUnused = patched('without-unused', [
  // Error texts in fifty languages.
  { file: /zod[\\/]v4[\\/]locales[\\/]index\.js$/, change: onlyEnglish },
  // pino finds the calling file to resolve transports; asrpro has none.
  {
    file: /pino[\\/]lib[\\/]caller\.js$/,
    change: (source) => replaced(source, /^.*getCallSites.*$/s, 'module.exports = () => [];'),
  },
  // asrpro uses no fastify plugins, whose versions semver compares, and neither TLS nor HTTP/2.
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

/** One CommonJS file. Each module still runs on first use, and names are kept for stack traces. */
export const program = {
  ...common,
  format: 'cjs',
  minifyWhitespace: true,
  minifySyntax: true,
  supported: { 'dynamic-import': false },
  plugins: [withoutUnused],
} satisfies BuildOptions;

/** The npm package. zeromq stays a dependency because it contains a native addon. */
export const packageProgram = {
  ...program,
  external: ['zeromq'],
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
} satisfies BuildOptions;

/** Builds dist/asrpro.cjs, dist/program.cjs and dist/client.mjs, and collects the licences of their packages. */
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

/** Keeps the program in a second file: the entry enables the compile cache, which applies only to files loaded later. */
const programApart: Plugin = {
  name: 'program-apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/cli\/run\.ts$/ }, () => ({ path: './program.cjs', external: true }));
  },
};

/** Writes dist/client/*.d.ts, for apps in TypeScript. */
async function describeClient(): Promise<void> {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['--ignoreConfig', '--declaration', '--emitDeclarationOnly', '--rewriteRelativeImportExtensions'];
  const language = ['--target', 'es2024', '--module', 'nodenext', '--types', 'node', '--strict'];
  const where = ['--rootDir', 'src/client', '--outDir', 'dist/client'];
  await execa(process.execPath, [tsc, ...options, ...language, ...where, 'src/client/index.ts'], { cwd: root });
}
