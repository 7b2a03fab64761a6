import os from 'node:os';
import path from 'node:path';
import { AsrproError } from '../errors.ts';

/**
 * The user's home directory, looked up when it is needed; null where neither the environment nor the user database knows
 * one: a container that runs under any uid has no entry there, and `os.homedir()` throws.
 */
export function findHome(environment: NodeJS.ProcessEnv): string | null {
  const given = process.platform === 'win32' ? environment.USERPROFILE : environment.HOME;
  if (given && path.isAbsolute(given)) return given;
  try {
    const { homedir } = os.userInfo();
    return path.isAbsolute(homedir) ? homedir : null;
  } catch {
    return null;
  }
}

/** Throws `folder_unusable` where there is none. */
export function requireHome(environment: NodeJS.ProcessEnv): string {
  const home = findHome(environment);
  if (home !== null) return home;
  throw new AsrproError(
    'folder_unusable',
    'There is no home directory: HOME is not set, and this user has no entry in the user database.',
    { hint: 'Set ASRPRO_HOME to a folder that you may write.' },
  );
}

/** `~` and `~/…` are the home directory; any other path stays as it is. */
export function expandHome(given: string, environment: NodeJS.ProcessEnv): string {
  return /^~(?=$|[/\\])/.test(given) ? path.join(requireHome(environment), given.slice(1)) : given;
}

export const ONLY_OWN_HOME = '~ stands for your own home directory only, as in ~/models';

/** `~bob/models`: a shell would take it for the home of bob, a program for a folder of that name. */
export function namesOtherHome(given: string): boolean {
  return /^~[^/\\]/.test(given);
}

/**
 * Gives a process without a home one, which what it starts inherits: uv, pip and the engines look for one, and so does
 * `conf` while it is imported.
 */
export function lendHome(environment: NodeJS.ProcessEnv, folder: string): void {
  if (findHome(environment) === null) environment[process.platform === 'win32' ? 'USERPROFILE' : 'HOME'] = folder;
}
