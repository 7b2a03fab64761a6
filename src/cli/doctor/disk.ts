import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { modelsDirectory } from '../../config/paths.ts';
import { type Finding, megabytes, type Section } from './section.ts';

/** Less than this is too little for the default model and an upload, in bytes. */
const LOW = 500_000_000;

/** Free space where models and engines are kept, once for each disk. */
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

/** The nearest folder that is there already. */
function existing(folder: string): string {
  const parent = path.dirname(folder);
  return existsSync(folder) || parent === folder ? folder : existing(parent);
}
