import path from 'node:path';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import type { EngineStatus, EnvironmentId } from '../engines/types.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { capabilitiesOf } from './capabilities.ts';
import { aliasesOf, CATALOGUE_CREATED, type CatalogueModel, catalogueModels, totalSize } from './catalogue.ts';
import { Discovery, type Found } from './discovery.ts';
import type { Model, ModelEngine, ModelLibrary } from './model.ts';
import type { Recognised } from './recognise.ts';
import { damagedFile, modelFolder, readInstalled, removeInstalled } from './store.ts';

export interface LibraryOptions {
  config: Config;
  paths: Paths;
  log: Log;
  environment: NodeJS.ProcessEnv;
  engineStatus(id: EnvironmentId): Promise<EngineStatus>;
}

type CustomModel = Config['models']['custom'][number];
/** Why an engine cannot run; null when it can. */
type EngineReason = (engine: ModelEngine) => string | null;

/** Names of OpenAI's models that clients have built in: they stand for the configured default. */
const OPENAI_NAMES = ['whisper-1', 'gpt-4o-transcribe', 'gpt-4o-mini-transcribe', 'gpt-transcribe'];

/** One list of everything: the catalogue, what the user configured, what lies in folders and in the hub's cache. */
export function createModelLibrary({ config, paths, environment, engineStatus }: LibraryOptions): ModelLibrary {
  const { searchDirectories, useHuggingFaceCache, custom } = config.models;
  const models = config.models.directory === null ? paths.models : path.resolve(config.models.directory);
  const discovery = new Discovery();

  async function rows(): Promise<Model[]> {
    const [core, nemo] = await Promise.all([engineStatus('core'), engineStatus('nemo')]);
    const engineReason: EngineReason = (engine) => (engine === 'nemo' ? nemo : core).reason;
    const cached = useHuggingFaceCache ? discovery.inHubCache(environment) : [];
    const named = [
      ...catalogueModels().map((entry) => catalogueRow(entry, models, cached, engineReason)),
      ...custom.map((entry) => customRow(entry, models, discovery, engineReason)),
    ];
    const names = new Set(named.flatMap(({ id, aliases }) => [id, ...aliases]));
    const found = [
      ...searchDirectories
        .flatMap((folder) => discovery.inFolder(path.resolve(folder)))
        .map((model) => foundRow({ ...model, name: idOf(model.name) }, 'folder', engineReason)),
      ...cached
        .filter(({ name }) => !catalogueModels().some((entry) => reposOf(entry).includes(name)))
        .map((model) => foundRow(model, 'huggingface-cache', engineReason)),
    ];
    return [...named, ...found.map((row) => ({ ...row, id: freeName(row.id, names) }))];
  }

  const library: ModelLibrary = {
    list: rows,
    async find(reference) {
      if (OPENAI_NAMES.includes(reference)) return library.default();
      const list = await rows();
      return (
        list.find(({ id }) => id === reference) ??
        list.find(({ id, aliases }) => id === reference.toLowerCase() || aliases.includes(reference))
      );
    },
    async default() {
      const name = config.models.default;
      return name === null || OPENAI_NAMES.includes(name) ? undefined : library.find(name);
    },
    async remove(id) {
      if (readInstalled(models, id) !== null) return removeInstalled(models, id);
      const model = (await rows()).find((row) => row.id === id);
      if (!model?.downloaded) {
        throw new AsrproError('model_not_found', `The model '${id}' is not downloaded.`, { param: 'model' });
      }
      const owner = model.source === 'huggingface-cache' ? 'the Hugging Face cache, which other programs use' : 'you';
      throw new AsrproError('model_not_deletable', `The files of '${id}' belong to ${owner}.`, {
        param: 'model',
        hint: 'Delete them there, or stop listing them in the configuration.',
      });
    },
  };
  return library;
}

/** Our own copy, else a whole one in the hub's cache, else what could be downloaded. */
function catalogueRow(
  entry: CatalogueModel,
  models: string,
  cached: readonly Found[],
  engineReason: EngineReason,
): Model {
  const { id, engine, name, description, languages, license } = entry;
  const installed = readInstalled(models, id);
  const shared =
    installed === null
      ? cached.find((found) => reposOf(entry).includes(found.name) && found.engine === engine && found.reason === null)
      : undefined;
  const damaged = installed && damagedFile(models, installed);
  const downloaded = installed !== null || shared !== undefined;
  const reason = !downloaded
    ? `It is not downloaded: run \`asrpro pull ${id}\` or POST /v1/models/${id}/download.`
    : damaged !== null
      ? `Its file '${damaged}' is missing or damaged: run \`asrpro pull ${id}\` to repair it.`
      : engineReason(engine);
  const ownSize = installed?.files.reduce((sum, { size }) => sum + size, 0);
  return {
    ...{ id, name, description, engine, languages, license, downloaded, reason },
    sizeBytes: ownSize ?? shared?.sizeBytes ?? totalSize(entry.files),
    capabilities: capabilitiesOf(engine, id, languages),
    source: shared === undefined ? 'catalogue' : 'huggingface-cache',
    created: installed?.installed ?? CATALOGUE_CREATED,
    ready: reason === null,
    path: installed === null ? (shared?.path ?? null) : modelFolder(models, id),
    quantization: shared?.quantization ?? entry.quantization,
    aliases: aliasesOf(entry),
  };
}

/** What the user configured: a folder or file, or a repository that is downloaded like one of the catalogue. */
function customRow(entry: CustomModel, models: string, discovery: Discovery, engineReason: EngineReason): Model {
  const { id, repo } = entry;
  const installed = repo === undefined ? null : readInstalled(models, id);
  const place = entry.path === undefined ? modelFolder(models, id) : path.resolve(entry.path);
  const recognised = repo === undefined || installed !== null ? discovery.at(place) : null;
  const damaged = installed && damagedFile(models, installed);
  const engine = entry.engine ?? recognised?.engine ?? 'faster-whisper';
  const downloaded = installed !== null || recognised !== null;
  const reason =
    repo !== undefined && installed === null
      ? `It is not downloaded: run \`asrpro pull ${id}\` or POST /v1/models/${id}/download.`
      : damaged !== null
        ? `Its file '${damaged}' is missing or damaged: run \`asrpro pull ${id}\` to repair it.`
        : (recognitionReason(recognised, entry.engine) ?? engineReason(engine));
  const languages = entry.languages ?? recognised?.languages ?? [];
  return {
    ...{ id, engine, languages, downloaded, reason },
    name: entry.name ?? id,
    description: repo === undefined ? 'A model of your own.' : `From the hub repository ${repo}.`,
    sizeBytes: recognised?.sizeBytes ?? null,
    license: null,
    capabilities: capabilitiesOf(engine, id, languages),
    source: 'custom',
    created: installed?.installed ?? CATALOGUE_CREATED,
    ready: reason === null,
    path: recognised?.path ?? null,
    quantization: entry.quantization ?? recognised?.quantization ?? null,
    aliases: repo === undefined ? [] : [repo],
  };
}

function recognitionReason(recognised: Recognised | null, engine: ModelEngine | undefined): string | null {
  if (recognised === null) return 'There is no speech model at its path: correct `models.custom`.';
  if (engine !== undefined && engine !== recognised.engine) {
    return `Its files are for ${recognised.engine}, not for ${engine}: correct \`models.custom\`.`;
  }
  return recognised.reason;
}

function foundRow(found: Found, source: 'folder' | 'huggingface-cache', engineReason: EngineReason): Model {
  const { name, engine, languages, sizeBytes, quantization } = found;
  const reason = found.reason ?? engineReason(engine);
  return {
    ...{ id: name, name, engine, languages, sizeBytes, quantization, source, reason },
    description: source === 'folder' ? 'Found in a folder of yours.' : 'Found in the Hugging Face cache.',
    license: null,
    capabilities: capabilitiesOf(engine, name, languages),
    created: CATALOGUE_CREATED,
    downloaded: true,
    ready: reason === null,
    path: found.path,
    aliases: [],
  };
}

function reposOf({ repo, alternate_repos }: CatalogueModel): string[] {
  return [repo, ...alternate_repos];
}

/** A name that can stand in a path: lower case letters, digits, dots, dashes. */
function idOf(name: string): string {
  return (
    name
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, '-')
      .replace(/^[^a-z0-9]+/, '') || 'model'
  );
}

/** The name, with a number where another model has it. */
function freeName(name: string, taken: Set<string>): string {
  let free = name;
  for (let number = 2; taken.has(free); number += 1) free = `${name}-${number}`;
  taken.add(free);
  return free;
}
