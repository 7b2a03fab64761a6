import os from 'node:os';
import path from 'node:path';
import { AsrproError } from '../errors.ts';

/**
 * The user's home directory; null if neither the environment nor the user database has one. A container that runs with an
 * arbitrary uid has no entry in the user database, and `os.homedir()` throws there.
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

/** Throws `folder_unusable` if the user has no home directory. */
export function requireHome(environment: NodeJS.ProcessEnv): string {
  const home = findHome(environment);
  if (home !== null) return home;
  throw new AsrproError(
    'folder_unusable',
    'There is no home directory: HOME is not set, and this user has no entry in the user database.',
    { hint: 'Set ASRPRO_HOME to a folder that you may write.' },
  );
}

/** Replaces `~` at the start of a path with the home directory. */
export function expandHome(given: string, environment: NodeJS.ProcessEnv): string {
  return /^~(?=$|[/\\])/.test(given) ? path.join(requireHome(environment), given.slice(1)) : given;
}

export const ONLY_OWN_HOME = '~ stands for your own home directory only, as in ~/models';

/** Whether a path begins like `~bob/models`: a shell reads that as bob's home, a program as a folder named `~bob`. */
export function namesOtherHome(given: string): boolean {
  return /^~[^/\\]/.test(given);
}

/**
 * Sets the home directory of a process without one. uv, pip and the engines inherit it and need it, and `conf` reads it when
 * it is imported.
 */
export function lendHome(environment: NodeJS.ProcessEnv, folder: string): void {
  if (findHome(environment) === null) environment[process.platform === 'win32' ? 'USERPROFILE' : 'HOME'] = folder;
}
