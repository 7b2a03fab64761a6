import { pythonEnvironment } from '../python-environment.ts';
import { interpreterIn } from './environment.ts';
import { runProgram } from './run-program.ts';

/** Time limit in milliseconds. Compiling takes seconds, but minutes with a virus scanner that checks every file. */
const TIDY_MS = 900_000;

/**
 * Removes the tests of packages, because a virus scanner checks every file, and compiles the rest, so that the first
 * transcription need not. All locked packages keep their tests in folders named `tests`; the import check that follows
 * fails if a package needs them.
 */
const TIDY = `
import compileall, os, shutil, sysconfig
root = sysconfig.get_path("purelib")
for folder, inner, _ in os.walk(root):
    if "tests" in inner and folder != root:
        shutil.rmtree(os.path.join(folder, "tests"), ignore_errors=True)
        inner.remove("tests")
compileall.compile_dir(root, quiet=2, workers=0)
`;

/** Ignores failures: Python compiles modules on import, and leftover tests do no harm. */
export async function tidy(building: string, environment: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  const options = { environment: pythonEnvironment(environment), signal, limitMs: TIDY_MS };
  await runProgram(interpreterIn(building), ['-s', '-c', TIDY], options);
}
