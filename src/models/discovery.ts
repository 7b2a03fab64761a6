import { type Dirent, readdirSync } from 'node:fs';
import path from 'node:path';
import { entryExists, inWords, readText, statOf, whyUnreadable } from '../config/foreign-file.ts';
import { expandHome, findHome } from '../config/home.ts';
import type { Log } from '../log.ts';
import { namesIn, type Recognised, recognise } from './recognise.ts';
import { Remembered } from './remembered.ts';

/** Something in a folder that may be a model; `look` finds out. */
export interface Candidate {
  /** Name of its folder or file, or of its hub repository (`owner/name`). */
  name: string;
  look(): Recognised | null;
}

/** A folder whose content cannot be listed. */
export interface FolderProblem {
  folder: string;
  /** "it is not there (ENOENT)" */
  reason: string;
}

/** How the hub's own client names the folder of a repository; its names hold nothing else. */
const REPOSITORY = /^models--(\w[\w.-]*?)--(\w[\w.-]*)$/;

/**
 * Finds models on this machine that are not ours. Whatever lies there is looked at once and then only when it has changed,
 * also what is no model: other programs fill the same cache with hundreds of repositories.
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

  /** Folders that could not be listed when they were last looked at. */
  get problems(): FolderProblem[] {
    return [...this.#problems].map(([folder, reason]) => ({ folder, reason }));
  }

  /** Says in the log if a folder that may be absent is there and cannot be listed. */
  check(folder: string): void {
    this.#list(folder, { optional: true });
  }

  /** Models in a folder: itself, or what is directly in it. */
  inFolder(folder: string): Candidate[] {
    const entries = this.#list(folder);
    const whole = this.at(folder);
    // A checkpoint is a file beside others; the other kinds are a folder as a whole.
    if (whole !== null && whole.path === folder) return [{ name: path.basename(folder), look: () => whole }];
    return entries
      .filter((entry) => entry.name.endsWith('.nemo') || entry.isDirectory() || entry.isSymbolicLink())
      .map(({ name }) => ({ name: name.replace(/\.nemo$/, ''), look: () => this.at(path.join(folder, name)) }));
  }

  /** Models in the Hugging Face cache, which is only read: always through `snapshots/`, at the commit of `main`. */
  inHubCache(): Candidate[] {
    const root = this.#hub;
    if (root === null) return [];
    return this.#list(root, { optional: true }).flatMap(({ name }) => {
      const [, owner, repo] = REPOSITORY.exec(name) ?? [];
      if (owner === undefined) return [];
      return [{ name: `${owner}/${repo}`, look: () => this.#inRepository(path.join(root, name)) }];
    });
  }

  /** One repository of the Hugging Face cache, without a look at the others. */
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
      // A name from the list, never what the file says: it could lead out of the cache.
      const commit = commits.find((name) => name === wanted) ?? commits.at(-1);
      if (commit === undefined) return { value: null, depends: [main] };
      const folder = path.join(snapshots, commit);
      const value = recognise(folder);
      return { value, depends: [main, folder, ...(value?.files ?? [path.join(folder, 'config.json')])] };
    });
  }

  /** What is directly in a folder. One that cannot be listed is said in the log, once. */
  #list(folder: string, { optional = false } = {}): Dirent[] {
    return this.#lists.get(folder, () => {
      try {
        const value = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith('.'));
        this.#problems.delete(folder);
        return { value, depends: [] };
      } catch (error) {
        if (!optional || entryExists(folder)) {
          this.#complain(folder, whyUnreadable(folder, 'folder') ?? inWords(error));
        } else this.#problems.delete(folder);
        return { value: [], depends: [] };
      }
    });
  }

  #complain(folder: string, reason: string): void {
    if (this.#problems.get(folder) === reason) return;
    this.#problems.set(folder, reason);
    this.#log.warn({ folder }, `models cannot be looked for in ${folder}: ${reason}`);
  }
}

/** As the hub's own client finds it; null where there is no home. */
function hubCache(environment: NodeJS.ProcessEnv): string | null {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = environment;
  const given = HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE;
  const above = HF_HOME || XDG_CACHE_HOME;
  const home = findHome(environment);
  if (home === null && !given && !above) return null;
  const expanded = (folder: string): string => (home === null ? folder : expandHome(folder, environment));
  if (given) return expanded(given);
  const cache = HF_HOME || path.join(XDG_CACHE_HOME || path.join(home ?? '', '.cache'), 'huggingface');
  return path.join(expanded(cache), 'hub');
}
