import path from 'node:path';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import type { EngineStatus, EnvironmentId } from '../engines/types.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { capabilitiesOf } from './capabilities.ts';
import { aliasesOf, CATALOGUE_CREATED, type CatalogueModel, catalogueModels, totalSize } from './catalogue.ts';
import type { Model, ModelLibrary } from './model.ts';
import { damagedFile, modelFolder, readInstalled, removeInstalled } from './store.ts';

export interface LibraryOptions {
  config: Config;
  paths: Paths;
  log: Log;
  engineStatus(id: EnvironmentId): Promise<EngineStatus>;
}

/** Names of OpenAI's models that clients have built in: they stand for the configured default. */
const OPENAI_NAMES = ['whisper-1', 'gpt-4o-transcribe', 'gpt-4o-mini-transcribe', 'gpt-transcribe'];

export function createModelLibrary({ config, paths, engineStatus }: LibraryOptions): ModelLibrary {
  const models = config.models.directory === null ? paths.models : path.resolve(config.models.directory);

  async function row(entry: CatalogueModel): Promise<Model> {
    const installed = readInstalled(models, entry.id);
    const damaged = installed && damagedFile(models, installed);
    const engine = await engineStatus(entry.engine === 'nemo' ? 'nemo' : 'core');
    const reason =
      installed === null
        ? `It is not downloaded: run \`asrpro pull ${entry.id}\` or POST /v1/models/${entry.id}/download.`
        : damaged !== null
          ? `Its file '${damaged}' is missing or damaged: run \`asrpro pull ${entry.id}\` to repair it.`
          : engine.reason;
    return {
      id: entry.id,
      name: entry.name,
      description: entry.description,
      engine: entry.engine,
      sizeBytes: installed ? installed.files.reduce((sum, { size }) => sum + size, 0) : totalSize(entry.files),
      languages: entry.languages,
      license: entry.license,
      capabilities: capabilitiesOf(entry.engine, entry.id, entry.languages),
      source: 'catalogue',
      created: installed?.installed ?? CATALOGUE_CREATED,
      downloaded: installed !== null,
      ready: reason === null,
      reason,
      path: installed === null ? null : modelFolder(models, entry.id),
      quantization: entry.quantization,
      aliases: aliasesOf(entry),
    };
  }

  const matches = (entry: CatalogueModel, reference: string): boolean =>
    entry.id === reference || aliasesOf(entry).includes(reference);

  const library: ModelLibrary = {
    list: () => Promise.all(catalogueModels.map(row)),
    async find(reference) {
      if (OPENAI_NAMES.includes(reference)) return library.default();
      const entry = catalogueModels.find((candidate) => matches(candidate, reference));
      return entry && row(entry);
    },
    async default() {
      const name = config.models.default;
      return name === null || OPENAI_NAMES.includes(name) ? undefined : library.find(name);
    },
    async remove(id) {
      if (readInstalled(models, id) === null) {
        throw new AsrproError('model_not_found', `The model '${id}' is not downloaded.`, { param: 'model' });
      }
      removeInstalled(models, id);
    },
  };
  return library;
}
