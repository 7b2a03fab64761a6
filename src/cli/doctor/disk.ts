import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { modelsDirectory } from '../../config/paths.ts';
import { type Finding, megabytes, type Section } from './section.ts';

/** With less free space than this, in bytes, the default model and an upload do not fit. */
const LOW = 500_000_000;

/** Free space in the folders for models, engines and uploads. */
export const disk: Section = {
  title: 'Disk',
  key: 'disk',
  async examine(_services, { config, paths }) {
    const folders = { models: modelsDirectory(config, paths), engines: paths.engines, uploads: paths.run };
    return await Promise.all(
      Object.entries(folders).map(async ([name, folder]): Promise<Finding> => {
        const { bavail, bsize } = await statfs(existing(path.resolve(folder)));
        const free = bavail * bsize;
        const detail = `${megabytes(free)} free in ${folder}`;
        return free < LOW
          ? { name, state: 'broken', code: 'disk_full', detail: `Only ${detail}; free some space.` }
          : { name, state: 'ok', detail };
      }),
    );
  },
};

/** The nearest parent folder that exists. */
function existing(folder: string): string {
  const parent = path.dirname(folder);
  return existsSync(folder) || parent === folder ? folder : existing(parent);
}
