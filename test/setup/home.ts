import { rmSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { createHome } from './create-home.ts';

/** An ASRPRO_HOME of the running test, removed after it; see createHome. */
export function temporaryHome({ installed = false } = {}): string {
  const home = createHome(installed);
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return home;
}
