import { type Dirent, readdirSync } from 'node:fs';
import path from 'node:path';
import { entryExists, readText, statOf, whyUnreadable } from '../config/foreign-file.ts';
import { hubPath } from '../config/hub-home.ts';
import { errnoWords } from '../disk-error.ts';
import type { Log } from '../log.ts';
import { namesIn, type Recognised, recognise } from './recognise.ts';
import { Remembered } from './remembered.ts';

/** A folder or file that may be a model; `look` reads it to find out. */
export interface Candidate {
  /** The name of the folder or file, or of the hub repository (`owner/name`). */
  name: string;
  look(): Recognised | null;
}

/** A folder whose content cannot be listed. */
export interface FolderProblem {
  folder: string;
  /** "no such file or folder (ENOENT)" */
  reason: string;
}

/** How the hub's own client names the folder of a repository. Repository names contain no other characters. */
const REPOSITORY = /^models--(\w[\w.-]*?)--(\w[\w.-]*)$/;

/**
 * Finds models on this machine that asrpro did not download. Each result is cached until the files change, also that a
 * folder is not a model: other programs fill the same cache with hundreds of repositories.
 */
export class Discovery {
  readonly #hub: string | null;
  readonly #log: Log;
  readonly #looks = new Remembered<Recognised | null>();
  readonly #lists = new Remembered<Dirent[]>();
  readonly #problems = new Map<string, string>();

  constructor(environment: NodeJS.ProcessEnv, log: Log) {
    this.#hub = hubCache(environment);
    this.#log = log;
  }

  /** Folders that could not be listed at the last attempt. */
  get problems(): FolderProblem[] {
    return [...this.#problems].map(([folder, reason]) => ({ folder, reason }));
  }

  /** Logs a warning if the folder exists but cannot be listed. A missing folder is fine. */
  check(folder: string): void {
    this.#list(folder, { optional: true });
  }

  /** Models in a folder: the folder itself, or its direct entries. */
  inFolder(folder: string): Candidate[] {
    const entries = this.#list(folder);
    const whole = this.at(folder);
    // A NeMo checkpoint is one file among others; every other kind of model is a whole folder.
    if (whole !== null && whole.path === folder) return [{ name: path.basename(folder), look: () => whole }];
    return entries
      .filter((entry) => entry.name.endsWith('.nemo') || entry.isDirectory() || entry.isSymbolicLink())
      .map(({ name }) => ({ name: name.replace(/\.nemo$/, ''), look: () => this.at(path.join(folder, name)) }));
  }

  /** Models in the Hugging Face cache. asrpro only reads it, always through `snapshots/` at the commit of `main`. */
  inHubCache(): Candidate[] {
    const root = this.#hub;
    if (root === null) return [];
    return this.#list(root, { optional: true }).flatMap(({ name }) => {
      const [, owner, repo] = REPOSITORY.exec(name) ?? [];
      if (owner === undefined) return [];
      return [{ name: `${owner}/${repo}`, look: () => this.#inRepository(path.join(root, name)) }];
    });
  }

  /** One repository of the Hugging Face cache; does not read the others. */
  repository(name: string): Recognised | null {
    return this.#hub === null ? null : this.#inRepository(path.join(this.#hub, `models--${name.replace('/', '--')}`));
  }

  /** A folder or `.nemo` file. */
  at(place: string): Recognised | null {
    return this.#looks.get(place, () => {
      const value = recognise(place);
      return { value, depends: value?.files ?? [path.join(place, 'config.json')] };
    });
  }

  #inRepository(repository: string): Recognised | null {
    const snapshots = path.join(repository, 'snapshots');
    const main = path.join(repository, 'refs', 'main');
    if (statOf(snapshots) === null) return null;
    return this.#looks.get(snapshots, () => {
      const commits = namesIn(snapshots);
      const wanted = readText(main)?.trim();
      // Take a name from the list, not the text of the file, which could lead out of the cache.
      const commit = commits.find((name) => name === wanted) ?? commits.at(-1);
      if (commit === undefined) return { value: null, depends: [main] };
      const folder = path.join(snapshots, commit);
      const value = recognise(folder);
      return { value, depends: [main, folder, ...(value?.files ?? [path.join(folder, 'config.json')])] };
    });
  }

  /** The direct entries of a folder. A folder that cannot be listed is logged once. */
  #list(folder: string, { optional = false } = {}): Dirent[] {
    return this.#lists.get(folder, () => {
      try {
        const value = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith('.'));
        this.#problems.delete(folder);
        return { value, depends: [] };
      } catch (error) {
        if (!optional || entryExists(folder)) {
          this.#complain(folder, whyUnreadable(folder, 'folder') ?? errnoWords(error));
        } else this.#problems.delete(folder);
        return { value: [], depends: [] };
      }
    });
  }

  #complain(folder: string, reason: string): void {
    if (this.#problems.get(folder) === reason) return;
    this.#problems.set(folder, reason);
    this.#log.warn({ folder }, `cannot look for models in ${folder}: ${reason}`);
  }
}

/** Where the hub's own client keeps its cache; null where the user has no home directory. */
function hubCache(environment: NodeJS.ProcessEnv): string | null {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } = environment;
  return hubPath(HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE, 'hub', environment);
}
