import { execa } from 'execa';

/**
 * Installs packages of Debian that a test needs. Returns why they are not there: a test is skipped with that reason, but
 * never in continuous integration, where nobody reads it.
 */
export async function missingPackages(...names: string[]): Promise<string | null> {
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
