import { execa } from 'execa';
import { oneAtATime } from './shared-home.ts';

/**
 * Installs Debian packages that a test needs. Returns null, or the reason why they could not be installed: the test is
 * skipped with that reason. In continuous integration nobody reads reasons, so there it throws.
 */
export async function missingPackages(...names: string[]): Promise<string | null> {
  return await oneAtATime('debian', () => install(names));
}

async function install(names: readonly string[]): Promise<string | null> {
  const installed = await execa('dpkg', ['--status', ...names], { reject: false });
  if (installed.exitCode === 0) return null;
  const environment = { env: { DEBIAN_FRONTEND: 'noninteractive' }, reject: false } as const;
  await execa('apt-get', ['update'], environment);
  const install = await execa('apt-get', ['install', '--yes', '--no-install-recommends', ...names], environment);
  if (install.exitCode === 0) return null;
  const reason = `no ${names.join(', ')} from Debian's packages: ${install.stderr || install.message}`;
  if (process.env.CI) throw new Error(reason);
  console.error(reason);
  return reason;
}
