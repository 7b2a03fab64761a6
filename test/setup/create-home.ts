import { existsSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { sharedHome } from './shared-home.ts';

/**
 * Creates an ASRPRO_HOME, which the caller removes. With `installed`, it has links to the shared engines and models, so a
 * test may delete one of them without taking it from the other tests.
 *
 * @param coreOnly without the engines `nemo` and `cluster`: a report of the devices imports every installed engine,
 *   which takes long for `nemo`.
 */
export function createHome(installed: boolean, { coreOnly = false } = {}): string {
  // The name is short because the path of a socket in it may have about a hundred bytes.
  const home = mkdtempSync(path.join(os.tmpdir(), 'asrpro-'));
  for (const folder of installed ? ['engines', 'models'] : []) {
    mkdirSync(path.join(home, folder));
    const source = path.join(sharedHome, folder);
    for (const name of existsSync(source) ? readdirSync(source) : []) {
      if (coreOnly && folder === 'engines' && !name.startsWith('core-')) continue;
      symlinkSync(path.join(source, name), path.join(home, folder, name), 'junction');
    }
  }
  return home;
}
