import path from 'node:path';
import { modelsDirectory, type Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { type EnvironmentId, engineUnsupported, workerEngine } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { aliasesOf, catalogueModels, reposOf } from './catalogue.ts';
import { type Candidate, Discovery } from './discovery.ts';
import { LoadFailures } from './load-failures.ts';
import { type Model, type ModelLibrary, OPENAI_NAMES } from './model.ts';
import { catalogueRow, customRow, foundRow, type Lookups } from './rows.ts';
import { readInstalled, removeInstalled } from './store.ts';

export interface LibraryOptions {
  config: Config;
  paths: Paths;
  log: Log;
  environment: NodeJS.ProcessEnv;
  engineStatus(id: EnvironmentId): Promise<{ reason: string | null }>;
}

/** No id or alias is longer: a folder's is as long as a file name, a hub repository's twice that. */
const LONGEST_NAME = 512;

/** A model whose id is known without reading the disk. */
interface ListedModel {
  id: string;
  aliases: readonly string[];
  row(): Promise<Model>;
}

/** One list of all models: the catalogue, the configured ones, and those in search folders and in the hub's cache. */
export function createModelLibrary(options: LibraryOptions): ModelLibrary {
  const { config, paths, log, environment, engineStatus } = options;
  const { searchDirectories, useHuggingFaceCache, custom } = config.models;
  const models = modelsDirectory(config, paths);
  const onCluster = config.cluster.address !== null;
  const discovery = new Discovery(environment, log);
  const failures = new LoadFailures();
  const lookups: Lookups = {
    models,
    at: (place) => discovery.at(place),
    shared: (name) => (useHuggingFaceCache ? discovery.repository(name) : null),
    /** Whether a model with all its files can be used, and if not, why. */
    async usable(engine, place) {
      const failed = place === null ? null : failures.reason(place);
      const never = onCluster ? null : engineUnsupported(engine, environment);
      const reason = never ?? failed ?? (await engineStatus(workerEngine(engine, onCluster).environment)).reason;
      return { ready: reason === null, reason, ...(failed === null ? {} : { broken: true }) };
    },
  };

  let list: readonly ListedModel[] | undefined;
  const listed = (): readonly ListedModel[] => {
    list ??= [
      ...catalogueModels().map((entry) => ({
        id: entry.id,
        aliases: aliasesOf(entry),
        row: () => catalogueRow(entry, lookups),
      })),
      ...custom.map((entry) => ({
        id: entry.id,
        aliases: entry.repo === undefined ? [] : [entry.repo],
        row: () => customRow(entry, lookups),
      })),
    ];
    return list;
  };

  function* candidates(): Generator<Candidate & { source: 'folder' | 'huggingface-cache' }> {
    for (const folder of searchDirectories) {
      for (const one of discovery.inFolder(path.resolve(folder))) {
        yield { ...one, name: idOf(one.name), source: 'folder' };
      }
    }
    if (!useHuggingFaceCache) return;
    const catalogueRepos = new Set(catalogueModels().flatMap(reposOf));
    for (const one of discovery.inHubCache()) {
      if (!catalogueRepos.has(one.name)) yield { ...one, source: 'huggingface-cache' };
    }
  }

  /** Models found on this machine: all, or those of one family of names. Reads only the files of these. */
  async function* found(family?: string): AsyncGenerator<Model> {
    const taken = new Set(listed().flatMap(({ id, aliases }) => [id, ...aliases]));
    for (const { name, source, look } of candidates()) {
      if (family !== undefined && familyOf(name) !== family) continue;
      const recognised = look();
      if (recognised !== null)
        yield await foundRow({ ...recognised, id: freeName(name, taken), name, source }, lookups);
    }
  }

  async function findAmongFound(id: string): Promise<Model | undefined> {
    for await (const model of found(familyOf(id))) if (model.id === id) return model;
    return undefined;
  }

  const library: ModelLibrary = {
    async list() {
      const rows = await Promise.all(listed().map(({ row }) => row()));
      for await (const model of found()) rows.push(model);
      return rows;
    },
    async anyReady() {
      for (const { row } of listed()) if ((await row()).ready) return true;
      for await (const { ready } of found()) if (ready) return true;
      return false;
    },
    async find(reference) {
      if (reference.length > LONGEST_NAME) return undefined;
      const lower = reference.toLowerCase();
      const exact = listed().find(({ id }) => id === reference);
      if (exact !== undefined) return await exact.row();
      if (OPENAI_NAMES.includes(reference)) return await library.default();
      const other = listed().find(({ id, aliases }) => id === lower || aliases.includes(reference));
      if (other !== undefined) return await other.row();
      return (await findAmongFound(reference)) ?? (lower === reference ? undefined : await findAmongFound(lower));
    },
    async default() {
      const name = config.models.default;
      if (name === null || (OPENAI_NAMES.includes(name) && !custom.some(({ id }) => id === name))) return undefined;
      return await library.find(name);
    },
    async remove(id) {
      if (readInstalled(models, id) !== null) return removeInstalled(models, id);
      const model = await library.find(id);
      if (!model?.downloaded) {
        throw new AsrproError('model_not_found', `The model '${id}' is not downloaded.`, { param: 'model' });
      }
      const owner = model.source === 'huggingface-cache' ? 'the Hugging Face cache, which other programs use' : 'you';
      throw new AsrproError('model_not_deletable', `The files of '${id}' belong to ${owner}.`, {
        param: 'model',
        hint: 'Delete them there, or stop listing them in the configuration.',
      });
    },
    noteLoad: (model, failure) => failures.note(model, failure),
    problems: () => discovery.problems,
  };
  // Report a bad folder at the start, not when the user misses a model.
  discovery.check(models);
  for (const folder of searchDirectories) discovery.inFolder(path.resolve(folder));
  return library;
}

/** A name that can be part of a path: lower-case letters, digits, dots, dashes and underscores. */
function idOf(name: string): string {
  return (
    name
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, '-')
      .replace(/^[^a-z0-9]+/, '') || 'model'
  );
}

/** The name, with a number appended where another model already has it. */
function freeName(name: string, taken: Set<string>): string {
  let free = name;
  for (let number = 2; taken.has(free); number += 1) free = `${name}-${number}`;
  taken.add(free);
  return free;
}

/** The name without the numbers that `freeName` may have appended: `large-2` may be the second `large`. */
function familyOf(name: string): string {
  return name.replace(/(-\d+)+$/, '');
}
