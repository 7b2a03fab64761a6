import { readFileSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { namesIn, type Recognised, recognise } from './recognise.ts';

/** A model that lies somewhere on this machine and is not ours. */
export interface Found extends Recognised {
  /** Name of its folder or file, or of its hub repository (`owner/name`). */
  name: string;
}

/** Looks at folders again only when they have changed. */
export class Discovery {
  readonly #seen = new Map<string, { changed: number; recognised: Recognised | null }>();

  /** Models in a folder: itself, or what is directly in it. */
  inFolder(folder: string): Found[] {
    const whole = this.#look(folder);
    // A checkpoint is a file beside others; the other kinds are a folder as a whole.
    if (whole !== null && whole.engine !== 'nemo') return [{ ...whole, name: path.basename(folder) }];
    return namesIn(folder).flatMap((name) => {
      const place = path.join(folder, name);
      if (!name.endsWith('.nemo') && !statSync(place, { throwIfNoEntry: false })?.isDirectory()) return [];
      const recognised = this.#look(place);
      return recognised === null ? [] : [{ ...recognised, name: name.replace(/\.nemo$/, '') }];
    });
  }

  /** Models in the Hugging Face cache, which is only read: always through `snapshots/`, at the commit of `main`. */
  inHubCache(environment: NodeJS.ProcessEnv): Found[] {
    const root = hubCache(environment);
    return namesIn(root).flatMap((name) => {
      const repo = /^models--([^-].*?)--(.+)$/.exec(name);
      if (repo === null) return [];
      const snapshot = currentSnapshot(path.join(root, name));
      const recognised = snapshot === null ? null : this.#look(snapshot);
      return recognised === null ? [] : [{ ...recognised, name: `${repo[1]}/${repo[2]!.replaceAll('--', '/')}` }];
    });
  }

  /** A folder or `.nemo` file that somebody named. */
  at(place: string): Recognised | null {
    return this.#look(place);
  }

  #look(place: string): Recognised | null {
    const stat = statSync(place, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    const known = this.#seen.get(place);
    // A folder does not change when a file in it grows, so a broken one is looked at again.
    if (known?.changed === stat.mtimeMs && known.recognised?.reason === null) return known.recognised;
    const recognised = recognise(place);
    this.#seen.set(place, { changed: stat.mtimeMs, recognised });
    return recognised;
  }
}

function hubCache({ HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME }: NodeJS.ProcessEnv): string {
  const given = HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE;
  if (given) return given;
  return path.join(HF_HOME || path.join(XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'huggingface'), 'hub');
}

/** The commit that `main` stands for, else any that is there. */
function currentSnapshot(repo: string): string | null {
  const commits = namesIn(path.join(repo, 'snapshots'));
  const main = readRef(path.join(repo, 'refs', 'main'));
  const commit = main !== null && commits.includes(main) ? main : commits.at(-1);
  return commit === undefined ? null : path.join(repo, 'snapshots', commit);
}

function readRef(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return null;
  }
}
