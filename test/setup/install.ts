import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { installForTests } from './shared-home.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** One value for all files of a test run. */
    run: string;
    /** The folder with the executables for other systems; see executableFor. */
    executables: string;
  }
}

/** vitest's global setup of the tests with real engines and models. Returns what happens after the last test. */
export default async function setup(project: TestProject): Promise<() => void> {
  const executables = mkdtempSync(path.join(os.tmpdir(), 'asrpro-executables-'));
  project.provide('run', randomUUID());
  project.provide('executables', executables);
  await installForTests();
  return () => rmSync(executables, { recursive: true, force: true });
}
