import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { take } from '../../src/claims/claim.mjs';
import { mainProgram } from './checkout.ts';

/** Engines and models for the tests are installed once, here, by the program itself. Never used as a home by a test. */
export const sharedHome: string = path.join(
  process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'),
  'asrpro-test',
);

const needed = [
  ['setup', 'core'],
  ['pull', 'whisper-base'],
  ['pull', 'whisper-tiny.en'],
];

/** Installs what most tests need and is missing. */
export const installForTests = (): Promise<void> => install(needed);

/** Installs the engine `nemo`, 2.5 GB, for the tests of it. */
export const installNemoForTests = (): Promise<void> => install([['setup', 'nemo']]);

/** Installs the environment for clusters, 830 MB, for the tests of them. */
export const installClusterForTests = (): Promise<void> => install([['setup', 'cluster']]);

/** One test run at a time. Says what happens on stderr. */
async function install(commands: readonly string[][]): Promise<void> {
  mkdirSync(sharedHome, { recursive: true });
  const claim = await take(path.join(sharedHome, 'installing.claim'));
  try {
    for (const command of commands) {
      await execa(process.execPath, [mainProgram, ...command], {
        env: { ASRPRO_HOME: sharedHome },
        stdio: ['ignore', process.stderr, process.stderr],
      });
    }
  } finally {
    claim.release();
  }
}
