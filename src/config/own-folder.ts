import { accessSync, constants, mkdirSync } from 'node:fs';
import { AsrproError } from '../errors.ts';
import { inWords } from './foreign-file.ts';

/** Makes the folder, for its owner only, if it is not there. Throws `folder_unusable` where nothing can be stored in it. */
export function requireFolder(folder: string, environment: NodeJS.ProcessEnv): void {
  inFolder(folder, environment, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK | constants.X_OK);
  });
}

/**
 * Does something in a folder of ours. A failure of the file system becomes one sentence with the folder and what chose it:
 * `disk_full` or `folder_unusable`.
 */
export function inFolder<T>(folder: string, { ASRPRO_HOME }: NodeJS.ProcessEnv, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (cause instanceof AsrproError || code === undefined) throw cause;
    const chosen = ASRPRO_HOME ? ' (from ASRPRO_HOME)' : '';
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    throw new AsrproError(
      full ? 'disk_full' : 'folder_unusable',
      `The folder ${folder}${chosen} cannot be used: ${inWords(cause)}.`,
      { cause, hint: full ? 'Free some space.' : 'Set ASRPRO_HOME to a folder that you may write.' },
    );
  }
}
