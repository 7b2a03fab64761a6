import { pythonEnvironment } from '../python-environment.ts';
import { interpreterIn } from './environment.ts';
import { runProgram } from './run-program.ts';

/** Compiling takes seconds; with a virus scanner that looks at every file, minutes. */
const TIDY_MS = 900_000;

/**
 * Removes the tests of packages and compiles the rest. Each file costs a virus scanner time, in the installation and at the
 * first start, and what is compiled now need not be in the first transcription. `tests` beside code is a convention that
 * all of the locked packages keep; the imports that follow would show one that needs them.
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

/** Nothing here is a reason to have no engine: Python compiles what it imports, and tests do no harm. */
export async function tidy(building: string, environment: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  const options = { environment: pythonEnvironment(environment), signal, limitMs: TIDY_MS };
  await runProgram(interpreterIn(building), ['-s', '-c', TIDY], options);
}
