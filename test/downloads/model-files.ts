import { readFileSync } from 'node:fs';
import path from 'node:path';
import { modelFolder, readInstalled } from '../../src/models/store.ts';
import { sharedHome } from '../setup/shared-home.ts';

/** The files of an installed model by name, each cut off after `longest` bytes. */
export function modelFiles(model: string, longest = Number.POSITIVE_INFINITY): Map<string, Buffer> {
  const models = path.join(sharedHome, 'models');
  const { files } = readInstalled(models, model)!;
  return new Map(
    files.map(({ path: name }) => [
      name,
      readFileSync(path.join(modelFolder(models, model), name)).subarray(0, longest),
    ]),
  );
}
