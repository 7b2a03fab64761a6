import { randomUUID } from 'node:crypto';
import type { TestProject } from 'vitest/node';
import { installForTests } from './shared-home.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** One value for all files of a test run. */
    run: string;
  }
}

/** vitest's global setup of the tests with real engines and models. */
export default async function setup(project: TestProject): Promise<void> {
  project.provide('run', randomUUID());
  await installForTests();
}
