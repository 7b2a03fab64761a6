import path from 'node:path';
import { whyUnreadable } from '../config/foreign-file.ts';
import type { Config } from '../config/schema.ts';
import { defaultEngine, type EngineId, engineRow } from '../engine-table.ts';
import { aliasesOf, CATALOGUE_CREATED, type CatalogueModel, reposOf, totalSize } from './catalogue.ts';
import { languageCode } from './languages.ts';
import type { Model } from './model.ts';
import type { Recognised } from './recognise.ts';
import { damagedFile, folderProblem, type InstalledModel, modelFolder, readInstalled } from './store.ts';

type CustomModel = Config['models']['custom'][number];

/** What a row is made from, besides its own entry. */
export interface Lookups {
  /** The models directory. */
  models: string;
  at(place: string): Recognised | null;
  /** A repository of the Hugging Face cache. */
  shared(name: string): Recognised | null;
  usable(engine: EngineId, place: string | null): Promise<Pick<Model, 'ready' | 'reason' | 'broken'>>;
}

/** Describes the downloaded copy, else a complete copy in the hub's cache, else what a download would fetch. */
export async function catalogueRow(entry: CatalogueModel, lookups: Lookups): Promise<Model> {
  const { id, engine, family, name, description, languages, license } = entry;
  const installed = readInstalled(lookups.models, id);
  const shared = installed === null ? sharedCopy(entry, lookups) : undefined;
  const place = installed === null ? (shared?.path ?? null) : modelFolder(lookups.models, id);
  const downloaded = place !== null;
  const reason = downloaded ? damageReason(installed, lookups.models) : notDownloaded(id, lookups.models);
  const ownSize = installed?.files.reduce((sum, { size }) => sum + size, 0);
  return {
    ...{ id, name, description, engine, family, languages, license, downloaded },
    sizeBytes: ownSize ?? shared?.sizeBytes ?? totalSize(entry.files),
    capabilities: engineRow(engine).capabilities(family),
    source: shared === undefined ? 'catalogue' : 'huggingface-cache',
    created: installed?.installed ?? CATALOGUE_CREATED,
    path: place,
    quantization: shared?.quantization ?? entry.quantization,
    aliases: aliasesOf(entry),
    ...(await readiness(reason, engine, place, lookups)),
  };
}

function sharedCopy(entry: CatalogueModel, { shared }: Lookups): Recognised | undefined {
  for (const repo of reposOf(entry)) {
    const copy = shared(repo);
    if (copy?.engine === entry.engine && copy.reason === null) return copy;
  }
  return undefined;
}

/** A model of the configuration: a folder or file, or a hub repository that is downloaded like a catalogue model. */
export async function customRow(entry: CustomModel, lookups: Lookups): Promise<Model> {
  const { id, repo } = entry;
  const installed = repo === undefined ? null : readInstalled(lookups.models, id);
  const place = entry.path === undefined ? modelFolder(lookups.models, id) : path.resolve(entry.path);
  const recognised = repo === undefined || installed !== null ? lookups.at(place) : null;
  const engine = entry.engine ?? recognised?.engine ?? defaultEngine;
  const family = recognised?.family ?? null;
  const reason =
    repo !== undefined && installed === null
      ? notDownloaded(id, lookups.models)
      : (damageReason(installed, lookups.models) ?? recognitionReason(recognised, entry.engine, place));
  const stated = entry.languages?.length ? entry.languages.map((one) => languageCode(one) ?? one.toLowerCase()) : null;
  return {
    ...{ id, engine, family },
    languages: stated ?? recognised?.languages ?? null,
    name: entry.name ?? id,
    description: repo === undefined ? 'Your own model.' : `From the hub repository ${repo}.`,
    sizeBytes: recognised?.sizeBytes ?? null,
    license: null,
    capabilities: engineRow(engine).capabilities(family),
    source: 'custom',
    created: installed?.installed ?? CATALOGUE_CREATED,
    downloaded: installed !== null || recognised !== null,
    path: recognised?.path ?? null,
    quantization: entry.quantization ?? recognised?.quantization ?? null,
    aliases: repo === undefined ? [] : [repo],
    ...(await readiness(reason, engine, recognised?.path ?? null, lookups)),
  };
}

/** @param reason what is visibly wrong with the files; null: nothing. */
async function readiness(
  reason: string | null,
  engine: EngineId,
  place: string | null,
  { usable }: Lookups,
): Promise<Pick<Model, 'ready' | 'reason' | 'broken'>> {
  return reason === null ? await usable(engine, place) : { ready: false, reason };
}

function notDownloaded(id: string, models: string): string {
  const remedy = `run \`asrpro pull ${id}\` or POST /v1/models/${id}/download`;
  const problem = folderProblem(models, id);
  return problem === null
    ? `It is not downloaded: ${remedy}.`
    : `Its folder in the models directory cannot be used: ${problem}. Remove the folder, then ${remedy}.`;
}

function damageReason(installed: InstalledModel | null, models: string): string | null {
  const damaged = installed && damagedFile(models, installed);
  return damaged && `Its file '${damaged}' is missing or damaged: run \`asrpro pull ${installed.id}\` to repair it.`;
}

function recognitionReason(recognised: Recognised | null, engine: EngineId | undefined, place: string): string | null {
  if (recognised === null) {
    const why = whyUnreadable(place, 'folder');
    return `There is no speech model at its path${why === null ? '' : `: ${why}`}. Correct \`models.custom\`.`;
  }
  if (engine !== undefined && engine !== recognised.engine) {
    return `Its files are for ${recognised.engine}, not for ${engine}: correct \`models.custom\`.`;
  }
  return recognised.reason;
}

interface Found extends Recognised {
  id: string;
  name: string;
  source: 'folder' | 'huggingface-cache';
}

export async function foundRow(found: Found, lookups: Lookups): Promise<Model> {
  const { id, name, engine, family, languages, sizeBytes, quantization, source } = found;
  return {
    ...{ id, name, engine, family, languages, sizeBytes, quantization, source },
    description: source === 'folder' ? 'Found in one of your folders.' : 'Found in the Hugging Face cache.',
    license: null,
    capabilities: engineRow(engine).capabilities(family),
    created: CATALOGUE_CREATED,
    downloaded: true,
    path: found.path,
    aliases: [],
    ...(await readiness(found.reason, engine, found.path, lookups)),
  };
}
