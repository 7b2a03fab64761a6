import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Marker } from './environment.ts';

/** Runs a Python script with arguments in the environment and returns its output. */
export type RunScript = (script: readonly string[]) => Promise<string>;

/** Which build of torch is installed. */
export async function torchBuild(run: RunScript): Promise<'none' | 'cpu' | 'cuda'> {
  const code = [
    'import importlib.metadata as m',
    'try: needs = m.requires("torch") or []',
    'except m.PackageNotFoundError: print("none")',
    'else: print("cuda" if any("nvidia" in r or "cuda" in r for r in needs) else "cpu")',
  ].join('\n');
  return (await run([code])).trim() as 'none' | 'cpu' | 'cuda';
}

/** Removes packages before another build of them is installed: both use one folder, and files of both would mix. */
export async function removePackages(run: RunScript, distributions: readonly string[]): Promise<void> {
  const code = [
    'import importlib.metadata as m, os, sys',
    'for name in sys.argv[1:]:',
    ' files = [os.path.realpath(f.locate()) for f in m.distribution(name).files or []]',
    ' for file in files:',
    '  if os.path.isfile(file): os.remove(file)',
    ' for folder in sorted({os.path.dirname(f) for f in files}, reverse=True):',
    '  if os.path.isdir(folder) and not os.listdir(folder): os.rmdir(folder)',
  ].join('\n');
  await run([code, ...distributions]);
}

/** The marker of a finished environment. @param shown distributions whose versions it lists. */
export async function describe(run: RunScript, shown: readonly string[], nvidia: boolean): Promise<Marker> {
  const code = [
    'import importlib.metadata as m, json, os, sys, sysconfig',
    'root = sysconfig.get_path("purelib")',
    'size = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(sys.prefix) for f in fs if not os.path.islink(os.path.join(d, f)))',
    'print(json.dumps({"root": root, "prefix": sys.prefix, "size": size, "packages": {n: m.version(n) for n in sys.argv[1:] if any(m.distributions(name=n))}}))',
  ].join('\n');
  const { root, prefix, size, packages } = JSON.parse(await run([code, ...shown])) as {
    root: string;
    prefix: string;
    size: number;
    packages: Record<string, string>;
  };
  const libraries = path.join(root, 'nvidia');
  const folders = existsSync(libraries) ? readdirSync(libraries).map((name) => path.join(libraries, name, 'lib')) : [];
  return {
    packages,
    sizeBytes: size,
    nvidia,
    libraryFolders: folders.filter((folder) => existsSync(folder)).map((folder) => path.relative(prefix, folder)),
  };
}
