import { rmSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { createHome } from './create-home.ts';

/** Creates an ASRPRO_HOME for the running test, which is removed after the test; see createHome. */
export function temporaryHome({ installed = false, coreOnly = false } = {}): string {
  const home = createHome(installed, { coreOnly });
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return home;
}
