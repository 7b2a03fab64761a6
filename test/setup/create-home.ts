import { existsSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { sharedHome } from './shared-home.ts';

/**
 * A fresh ASRPRO_HOME that the caller removes. With `installed`, it has the shared engines and models: each is a link, so
 * that one may be deleted here without taking it from the others.
 */
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
