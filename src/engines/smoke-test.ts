import { AsrproError } from '../errors.ts';
import { lastWords, presentable, reasonIn } from './install-error.ts';
import { type Ended, runProgram } from './run-program.ts';

/** Time limit in milliseconds: the first import compiles thousands of files, which takes minutes on a slow disk. */
const IMPORT_MS = 900_000;

/** Imports the engines' packages as the worker will. Throws `engine_install_failed` with the reason. */
export async function smokeTest(
  python: string,
  modules: readonly string[],
  building: string,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<void> {
  const ended = await runProgram(python, ['-s', '-c', `import ${modules.join(', ')}`], {
    // onnxruntime sends telemetry from the first import on.
    environment: { ...environment, ORT_DISABLE_TELEMETRY: '1' },
    signal,
    limitMs: IMPORT_MS,
  });
  if (ended.failed) throw importError(ended, building);
}

/** Debian packages that contain these libraries. */
const PACKAGES: Record<string, string> = { 'libstdc++.so.6': 'libstdc++6', 'libgomp.so.1': 'libgomp1' };

/** Describes why compiled packages cannot be imported, with the remedy. */
export function importError(ended: Ended, building: string): AsrproError {
  const { output, signal, exitCode } = ended;
  const [why, hint] = meaning();
  return new AsrproError('engine_install_failed', `The installed packages cannot be imported: ${why}.`, {
    hint,
    cause: lastWords(ended),
  });

  function meaning(): [string, string] {
    const found = (pattern: RegExp): string | undefined => pattern.exec(output)?.[1];
    const again = "Try again with `asrpro setup --reinstall`; the log has Python's full output.";
    if (signal === 'SIGILL' || exitCode === 0xc000001d || exitCode === 132) {
      return ['this CPU lacks instructions that they need (AVX)', 'The engines need a CPU with AVX.'];
    }
    if (signal === 'SIGKILL' && ended.cause?.includes('SIGKILL')) {
      return [
        'the system killed Python (SIGKILL), as it does when memory runs out',
        'Free some memory, then try again.',
      ];
    }
    if (ended.cause !== null) return [ended.cause.replace(/^it /, 'Python '), again];
    if (/failed to map segment from shared object|cannot apply additional memory protection/.test(output))
      return NOEXEC;
    const glibc = found(/version [`']GLIBC_([\d.]+)' not found/);
    if (glibc !== undefined) {
      return [`they need glibc ${glibc}, and this Linux has an older one`, 'Use a Linux with glibc 2.28 or newer.'];
    }
    if (/version [`'](GLIBCXX|CXXABI)_/.test(output)) {
      return ["this machine's libstdc++ is too old", 'Update it (package libstdc++6), or use a newer Linux.'];
    }
    const library = found(/([\w.+-]+\.so[\w.]*): cannot open shared object file/);
    if (library !== undefined) {
      const name = PACKAGES[library];
      const install = name
        ? `Install it: \`apt install ${name}\` on Debian and Ubuntu.`
        : 'Install the package that contains it.';
      return [`the library ${library} is missing on this machine`, install];
    }
    if (/cannot enable executable stack/.test(output)) {
      return [
        'this Linux forbids the executable stack that a library needs',
        'Allow it (SELinux: `execstack`), or try a newer asrpro.',
      ];
    }
    if (/DLL load failed/.test(output)) {
      return ['a Windows library is missing', "Install Microsoft's Visual C++ runtime (x64)."];
    }
    if (/wrong ELF class|Exec format error|incompatible architecture|not a valid Win32/.test(output)) {
      return [
        'they are for another kind of processor than this Python',
        'Set `worker.python` to a Python for this CPU.',
      ];
    }
    if (/[Cc]annot allocate memory|MemoryError|bad_alloc/.test(output)) {
      return ['there is not enough memory', 'Free some memory, then try again.'];
    }
    return [presentable(reasonIn(output), building).replace(/\.$/, ''), again];
  }
}

const NOEXEC: [string, string] = [
  'the data folder is mounted `noexec`, so that no program in it can run',
  'Mount it without `noexec`, or set ASRPRO_HOME to a folder on another disk.',
];

/** The error for a data folder that is mounted `noexec`, thrown before hundreds of megabytes are downloaded. */
export function noexecError(): AsrproError {
  return new AsrproError('engine_install_failed', `The engine cannot be installed: ${NOEXEC[0]}.`, { hint: NOEXEC[1] });
}
