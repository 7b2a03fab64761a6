import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type { TestProject } from 'vitest/node';
import { packageProgram } from '../../packaging/bundle.ts';
import { transcribe } from './api.ts';
import { audio, checkout } from './checkout.ts';
import { createHome } from './create-home.ts';
import { launchGateway } from './launch.ts';

/**
 * vitest's global setup of the quick tests: bundles the program into one file, as the npm package has it. The tests start
 * it hundreds of times, and a hundred TypeScript files take twice as long to load.
 */
export default async function setup(project: TestProject): Promise<void> {
  const { ASRPRO_TEST_PROGRAM: program, ASRPRO_TEST_BINARY: binary, ...environment } = project.config.env;
  // The program finds the files of the package relative to its source.
  const source = pathToFileURL(path.join(checkout, 'src', 'main.ts')).href;
  const { outputFiles } = await build({
    ...packageProgram,
    entryPoints: ['src/main.ts'],
    outfile: program,
    banner: { js: `const moduleUrl = ${JSON.stringify(source)};` },
    write: false,
  });
  const bundle = Buffer.from(outputFiles[0]!.contents);
  if (binary !== undefined) replace(binary, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  if (existsSync(program!) && readFileSync(program!).equals(bundle)) return;
  replace(program!, bundle);
  await compile(program!, environment);
}

/** Another test run may start the file while it is replaced. */
function replace(file: string, content: string | Buffer): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, content, { mode: 0o755 });
  renameSync(fresh, file);
}

/** Node's cache of compiled code keeps the functions that the first process has run, so this one runs the usual ones. */
async function compile(program: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const home = createHome(false);
  const command = [process.execPath, program, 'serve'];
  const gateway = await launchGateway({ home, environment, command, mock: true, args: ['--model', 'mock-echo'] });
  await transcribe(gateway.url, audio('english/jfk.flac'));
  await gateway.stop();
  rmSync(home, { recursive: true });
}
