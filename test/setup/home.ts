import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { sharedHome } from './shared-home.ts';

/**
 * An ASRPRO_HOME of the running test, removed after it. With `installed`, it has the shared engines and models: each is a
 * link, so that a test may delete one without taking it from the others.
 */
export function temporaryHome({ installed = false } = {}): string {
  const home = createHome(installed);
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

/** The same for a whole file; the caller removes it. */
export function createHome(installed: boolean): string {
  // Short, because the paths of the sockets in it are limited to about a hundred bytes.
  const home = mkdtempSync(path.join(os.tmpdir(), 'asrpro-'));
  for (const folder of installed ? ['engines', 'models'] : []) {
    mkdirSync(path.join(home, folder));
    const source = path.join(sharedHome, folder);
    for (const name of existsSync(source) ? readdirSync(source) : []) {
      symlinkSync(path.join(source, name), path.join(home, folder, name), 'junction');
    }
  }
  return home;
}
