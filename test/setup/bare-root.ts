import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';

/** A Debian root with libraries, certificates and the executable, but without Python, uv and a shell. */
export interface BareRoot {
  /** Runs the executable in this root, whose folder `home` is ASRPRO_HOME. */
  asrpro(
    args: readonly string[],
    environment?: NodeJS.ProcessEnv,
  ): Promise<{ code: number | undefined; out: string; err: string }>;
  /** The path on this machine of a path in the root. */
  at(inside: string): string;
}

/** Everything in it belongs to this test, except the system's libraries, which are mounted in a separate namespace. */
export function makeBareRoot(folder: string, executable: string): BareRoot {
  const at = (inside: string): string => path.join(folder, inside);
  for (const name of ['usr/lib', 'usr/lib64', 'etc/ssl/certs', 'proc', 'dev', 'tmp', 'home', 'app']) {
    mkdirSync(at(name), { recursive: true });
  }
  for (const name of ['lib', 'lib64']) symlinkSync(`usr/${name}`, at(name));
  for (const name of ['passwd', 'group', 'ld.so.cache', 'os-release'])
    copyFileSync(path.join('/etc', name), at(`etc/${name}`));
  copyFileSync(executable, at('app/asrpro'));
  chmodSync(at('app/asrpro'), 0o755);
  const script = [
    ...['usr/lib', 'usr/lib64', 'dev', 'proc'].map((name) => `mount --rbind /${name} "$0/${name}"`),
    // /usr/lib also has modules of Debian's Python, which no program can use without an interpreter.
    'exec chroot "$0" /app/asrpro "$@"',
  ].join(' && ');
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  return {
    at,
    async asrpro(args, environment = {}) {
      const { exitCode, stdout, stderr } = await execa(
        'unshare',
        [...user, '--mount', 'sh', '-c', script, folder, ...args],
        {
          env: { PATH: process.env.PATH!, ASRPRO_HOME: '/home', ...environment },
          extendEnv: false,
          reject: false,
          stdin: 'ignore',
        },
      );
      return { code: exitCode, out: stdout, err: stderr };
    },
  };
}

/**
 * Makes an archive in the layout of python-build-standalone from a Python of this machine. The interpreter in it looks for
 * its library relative to itself, so that the archive can be unpacked anywhere.
 */
export async function archiveOfPython(python: string, folder: string): Promise<{ archive: string; version: string }> {
  const code = [
    'import json, sys, sysconfig as s',
    'of = s.get_config_var',
    'print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "minor": "%d.%d" % sys.version_info[:2],',
    ' "program": sys._base_executable, "stdlib": s.get_path("stdlib"), "libdir": of("LIBDIR"), "library": of("INSTSONAME")}))',
  ].join('\n');
  const { stdout } = await execa(python, ['-I', '-c', code]);
  const found = JSON.parse(stdout) as Record<'version' | 'minor' | 'program' | 'stdlib' | 'libdir' | 'library', string>;
  const root = path.join(folder, 'python');
  const stdlib = path.join(root, 'lib', `python${found.minor}`);
  mkdirSync(path.join(root, 'bin'), { recursive: true });
  const left = /^(test|tests|idlelib|tkinter|site-packages|dist-packages|__pycache__|config-.*)$/;
  cpSync(found.stdlib, stdlib, { recursive: true, filter: (source) => !left.test(path.basename(source)) });
  mkdirSync(path.join(stdlib, 'site-packages'));
  const program = readFileSync(found.program);
  const searched = program.indexOf(`${found.libdir}\0`);
  if (found.library.includes('.so')) {
    if (searched < 0) throw new Error(`${found.program} finds its library in another way than by its path`);
    program.fill(0, searched, searched + found.libdir.length).write('$ORIGIN/../lib', searched);
    copyFileSync(path.join(found.libdir, found.library), path.join(root, 'lib', found.library));
  }
  writeFileSync(path.join(root, 'bin', `python${found.minor}`), program, { mode: 0o755 });
  symlinkSync(`python${found.minor}`, path.join(root, 'bin', 'python3'));
  symlinkSync(`python${found.minor}`, path.join(root, 'bin', 'python'));
  const archive = path.join(folder, 'python.tar.gz');
  await execa('tar', ['-cf', `${archive}.tar`, '-C', folder, 'python']);
  // The archive never leaves this machine, so compressing it would only take time.
  writeFileSync(archive, gzipSync(readFileSync(`${archive}.tar`), { level: 0 }));
  return { archive, version: found.version };
}
