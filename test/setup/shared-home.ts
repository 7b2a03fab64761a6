import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { take } from '../../src/claims/claim.mjs';
import { mainProgram } from './checkout.ts';

/** The program installs engines and models for all tests here, once. No test uses this folder as its ASRPRO_HOME. */
export const sharedHome: string = path.join(
  process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'),
  'asrpro-test',
);

const needed = [
  ['setup', 'core'],
  ['pull', 'whisper-base'],
  ['pull', 'whisper-tiny.en'],
];

/** Installs the engine and the models that most tests need, unless they are installed. */
export const installForTests = (): Promise<void> => install(needed);

/** Installs the engine `nemo` (2.5 GB). */
export const installNemoForTests = (): Promise<void> => install([['setup', 'nemo']]);

/** Installs the environment for clusters (830 MB). */
export const installClusterForTests = (): Promise<void> => install([['setup', 'cluster']]);

/** Runs `work` while no other test process runs work with this name: test files and test runs share this folder. */
export async function oneAtATime<T>(name: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(sharedHome, { recursive: true });
  const claim = await take(path.join(sharedHome, `${name}.claim`));
  try {
    return await work();
  } finally {
    claim.release();
  }
}

/** Runs commands of the program on the shared home, with their progress on stderr. */
async function install(commands: readonly string[][]): Promise<void> {
  await oneAtATime('installing', async () => {
    for (const command of commands) {
      await execa(process.execPath, [mainProgram, ...command], {
        env: { ASRPRO_HOME: sharedHome },
        stdio: ['ignore', process.stderr, process.stderr],
      });
    }
  });
}
